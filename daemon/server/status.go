package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// status answers with all about a credential except its value. Every key is present, in this order;
// "-" means none. New keys are appended.
func (s *session) status(name []byte) action {
	if next, ok := s.allowed(protocol.VerbStatus, name); !ok {
		return next
	}
	owned := string(name)
	return s.doWhole(func(func() error) error {
		s.timed(lookCost, func() { s.describe(owned) })
		return nil
	})
}

// describe is status for name, which the peer may see.
func (s *session) describe(name string) {
	st, err := s.server.cfg.Engine.Status(name)
	if err != nil {
		s.fail(err)
		return
	}
	pairs := [...][2]string{
		{"name", name},
		{"kind", st.Kind},
		{"state", st.State.String()},
		{"ttl", ttl(st.TTL)},
		{"fetched_at", moment(st.FetchedAt)},
		{"expires_at", moment(st.ExpiresAt)},
		{"next_refresh", moment(st.NextRefresh)},
		{"parent", st.Parent},
		{"last_error", st.LastError},
		{"error_at", moment(st.ErrorAt)},
		{"errcode", some(st.ErrCode)},
		{"address", st.Address},
		{"failures", strconv.Itoa(st.Failures)},
		{"hold_until", holdUntil(st)},
		{"fingerprint", st.Fingerprint},
		{"durable", yesNo(st.Durable)},
		{"used_by", usedBy(st.Readers, &s.server.audit.names)},
		{"source", st.Source},
		{"generations", some(st.Generations)},
		{"host", st.Host},
		{"advice", string(advice.Of(&st))},
		{"pushes_refused", refusals(st.Refused)},
		{"refused_at", refusedAt(st.Refused)},
	}
	s.out = s.codec.pairs(s.out, len(pairs))
	for _, p := range pairs {
		s.out = s.codec.pair(s.out, p[0], p[1])
	}
}

// refusals returns how many pushes were refused for each cause: "signature=3,key=1".
func refusals(r *credential.Refusals) string {
	if r == nil {
		return ""
	}
	var b []byte
	for why, n := range r.N {
		if n == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(append(b, credential.Refusal(why).String()...), '=')
		b = strconv.AppendInt(b, n, 10)
	}
	return string(b)
}

func refusedAt(r *credential.Refusals) string {
	if r == nil {
		return ""
	}
	return moment(r.Last)
}

// history answers with the last refreshes of a credential, newest first.
func (s *session) history(name []byte) action {
	if next, ok := s.allowed(protocol.VerbHistory, name); !ok {
		return next
	}
	owned := string(name)
	return s.doWhole(func(func() error) error {
		s.timed(lookCost, func() { s.recount(owned) })
		return nil
	})
}

// recount is history for name, which the peer may see.
func (s *session) recount(name string) {
	attempts, err := s.server.cfg.Engine.History(name)
	if err != nil {
		s.fail(err)
		return
	}
	s.out = s.codec.count(s.out, len(attempts))
	for _, a := range attempts {
		s.out = s.codec.attempt(s.out, a)
	}
}

// ttl returns whole seconds, rounded as in the reply to GET; "" for no valid value.
func ttl(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(max(1, int64(d/time.Second)), 10)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// holdUntil returns when the next call to WeChat is made; "action" if none is made before an
// operator acts; "" if there is no hold.
func holdUntil(st credential.Status) string {
	if st.Held && st.HoldUntil.IsZero() {
		return "action"
	}
	return moment(st.HoldUntil)
}

// some returns n, and "" for 0: an errcode of 0 is success, and a grant has at least one
// generation.
func some(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// usedBy returns the users that have read a credential, as www-data=120,root=3, the most frequent
// first; "" for none.
func usedBy(readers *credential.Readers, names *names) string {
	if readers == nil {
		return ""
	}
	all := readers.List()
	slices.SortFunc(all, func(a, b credential.Reader) int {
		return cmp.Or(cmp.Compare(b.Reads, a.Reads), cmp.Compare(a.UID, b.UID))
	})
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		if r.Rest {
			b.WriteString("others")
		} else {
			b.WriteString(names.of(r.UID))
		}
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(r.Reads, 10))
	}
	return b.String()
}
