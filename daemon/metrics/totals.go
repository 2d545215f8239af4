package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tokend/daemon/credential"
)

// totals is what is counted of the configured credentials. It has as many numbers as there are
// families, kinds and errcodes, however many credentials there are. Its zero value is ready.
type totals struct {
	states  map[herd]*[credential.StateCount]int
	failing map[failure]int
	ends    map[herd]time.Time // when the first of the failing ends or has ended

	valued, scheduled, undurable bool // there is one

	last  herd // whose states are in count: those of one account are mostly of few
	count *[credential.StateCount]int
}

// herd is the credentials that are counted together.
type herd struct{ family, kind string }

// failure is why some of a herd have failed.
type failure struct {
	herd
	errcode int
}

func (s *totals) add(c *credential.Standing) {
	family, _, _ := strings.Cut(c.Name, "/")
	h := herd{family, c.Kind}
	if s.states == nil {
		s.states, s.failing, s.ends = map[herd]*[credential.StateCount]int{}, map[failure]int{}, map[herd]time.Time{}
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

func compareHerds(a, b herd) int {
	return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.kind, b.kind))
}

// totals writes s.
func (t *text) totals(s *totals) {
	all := t.gauge("credentials", "Configured credentials, by state.")
	for _, h := range slices.SortedFunc(maps.Keys(s.states), compareHerds) {
		for state, n := range s.states[h] {
			all.count(int64(n), label{"family", h.family}, label{"kind", h.kind}, label{"state", credential.State(state).String()})
		}
	}
	failing := t.gauge("credentials_failing", "Configured credentials whose last refresh has failed, by WeChat's errcode.")
	for _, f := range slices.SortedFunc(maps.Keys(s.failing), func(a, b failure) int {
		return cmp.Or(compareHerds(a.herd, b.herd), cmp.Compare(a.errcode, b.errcode))
	}) {
		failing.count(int64(s.failing[f]), label{"errcode", errcode(f.errcode, "none")}, label{"family", f.family}, label{"kind", f.kind})
	}
	ends := t.gauge("credentials_failing_expiry_timestamp_seconds", "When the first of these ends or has ended.")
	for _, h := range slices.SortedFunc(maps.Keys(s.ends), compareHerds) {
		ends.timestamp(s.ends[h], label{"family", h.family}, label{"kind", h.kind})
	}
}

// mostSpent is how much of each sort of budget is spent where it is the most.
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
