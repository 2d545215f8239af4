package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tokend/daemon/credential"
)

// totals counts the configured credentials. Its size depends on the number of families, kinds and
// errcodes, and not on the number of credentials. Its zero value is ready.
type totals struct {
	states  map[group]*[credential.StateCount]int
	failing map[failure]int
	ends    map[group]time.Time // the earliest expiry of a failing credential

	pushed []push // of platforms and suites that have got a ticket

	valued, scheduled, undurable bool // whether a credential has a value, is scheduled, is undurable

	last  group // the group of count, a cache of the last lookup
	count *[credential.StateCount]int
}

// group is a set of credentials that are counted together.
type group struct{ family, kind string }

// failure is an errcode of a group's credentials.
type failure struct {
	group
	errcode int
}

// push is when the newest ticket of an owner arrived.
type push struct {
	owner string
	at    time.Time
}

// pushedKinds are the kinds that WeChat pushes.
var pushedKinds = [...]string{"component_verify_ticket", "suite_ticket"}

func (s *totals) add(c *credential.Summary) {
	if (c.Kind == pushedKinds[0] || c.Kind == pushedKinds[1]) && !c.FetchedAt.IsZero() {
		s.pushed = append(s.pushed, push{credential.OwnerOf(c.Name), c.FetchedAt})
	}
	family, _, _ := strings.Cut(c.Name, "/")
	h := group{family, c.Kind}
	if s.states == nil {
		s.states, s.failing, s.ends = map[group]*[credential.StateCount]int{}, map[failure]int{}, map[group]time.Time{}
	}
	if s.count == nil || s.last != h {
		if s.last, s.count = h, s.states[h]; s.count == nil {
			s.count = new([credential.StateCount]int)
			s.states[h] = s.count
		}
	}
	s.count[c.State]++
	s.valued = s.valued || !c.ExpiresAt.IsZero()
	s.scheduled = s.scheduled || !c.NextRefresh.IsZero()
	s.undurable = s.undurable || !c.Durable
	if c.Failures == 0 {
		return
	}
	s.failing[failure{h, c.ErrCode}]++
	if first, ok := s.ends[h]; !c.ExpiresAt.IsZero() && (!ok || c.ExpiresAt.Before(first)) {
		s.ends[h] = c.ExpiresAt
	}
}

func compareGroups(a, b group) int {
	return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.kind, b.kind))
}

// totals writes s.
func (t *text) totals(s *totals) {
	all := t.gauge("credentials", "The number of configured credentials, by state.")
	for _, h := range slices.SortedFunc(maps.Keys(s.states), compareGroups) {
		for state, n := range s.states[h] {
			all.count(int64(n), label{"family", h.family}, label{"kind", h.kind}, label{"state", credential.State(state).String()})
		}
	}
	pushes := t.gauge("last_push_timestamp_seconds", "When the newest ticket of a platform or suite arrived.")
	for _, p := range s.pushed {
		pushes.timestamp(p.at, label{"owner", p.owner})
	}
	failing := t.gauge("credentials_failing", "The number of configured credentials whose last refresh failed, by errcode.")
	for _, f := range slices.SortedFunc(maps.Keys(s.failing), func(a, b failure) int {
		return cmp.Or(compareGroups(a.group, b.group), cmp.Compare(a.errcode, b.errcode))
	}) {
		failing.count(int64(s.failing[f]), label{"errcode", errcode(f.errcode, "none")}, label{"family", f.family}, label{"kind", f.kind})
	}
	ends := t.gauge("credentials_failing_expiry_timestamp_seconds", "When the first of the failing credentials expires or expired.")
	for _, h := range slices.SortedFunc(maps.Keys(s.ends), compareGroups) {
		ends.timestamp(s.ends[h], label{"family", h.family}, label{"kind", h.kind})
	}
}

// mostSpent is the largest spent ratio of each kind of budget.
type mostSpent []struct {
	word  string
	ratio float64
}

func (m *mostSpent) add(q *credential.Quota) {
	ratio := float64(q.Spent) / float64(max(q.Limit, 1))
	for i := range *m {
		if at := &(*m)[i]; at.word == q.Word {
			at.ratio = max(at.ratio, ratio)
			return
		}
	}
	*m = append(*m, struct {
		word  string
		ratio float64
	}{q.Word, ratio})
}
