package page

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
)

const (
	// snapshotEvery is the least time between two snapshots.
	snapshotEvery = time.Second

	// snapshotShare bounds the time of snapshots to a twentieth. The throttle leaves half of that
	// to others.
	snapshotShare = 20

	// quotasEvery is the time for which the quotas are reused: they are the largest part of a
	// snapshot and change slowly.
	quotasEvery = 30 * time.Second

	// maxTroubles is how many credentials in trouble are examined for their causes.
	maxTroubles = 300

	// maxEvents is how many of the last refreshes are shown.
	maxEvents = 12
)

// snapshot is a daemon at one moment. It is not changed.
type snapshot struct {
	survey.Survey // without iterators

	seq      int64                // differs from that of the snapshot before if something has changed
	rows     []credential.Summary // sorted by name
	place    map[string]int       // of each name in rows
	states   [credential.StateCount]int
	families []family
	quotas   []credential.Quota
	tickets  []credential.Status
	bad      int // the number of credentials in trouble
	troubles []trouble
	events   []credential.Event
}

// family is the configured credentials of one family: rows[from:to] of a snapshot.
type family struct {
	word     string // the first segment of their names
	from, to int
	states   [credential.StateCount]int
	bad      int
}

// snapshots makes snapshots of a source.
type snapshots struct {
	source Source

	mu     sync.Mutex // held while a snapshot is made
	last   weak.Pointer[snapshot]
	seq    int64
	made   time.Time
	took   time.Duration
	quotas []credential.Quota
	looked time.Time // when quotas was taken
}

// get returns a recent snapshot. Nothing but the pages that use a snapshot keeps it in memory.
func (ss *snapshots) get(ctx context.Context) *snapshot {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	began := time.Now()
	last := ss.last.Value()
	if last != nil && began.Sub(ss.made) < max(snapshotEvery, snapshotShare*ss.took) {
		return last
	}
	s := ss.take(ctx, last)
	if ctx.Err() != nil {
		return s // incomplete, for a client that has left
	}
	if last == nil || !last.alike(s) {
		ss.seq++
	}
	s.seq = ss.seq
	ss.last, ss.made = weak.Make(s), time.Now()
	ss.took = ss.made.Sub(began)
	return s
}

// take makes a snapshot. before is an earlier one, or nil.
func (ss *snapshots) take(ctx context.Context, before *snapshot) *snapshot {
	s := &snapshot{Survey: ss.source.Look(ctx)}
	if now := time.Now(); ss.looked.IsZero() || now.Sub(ss.looked) >= quotasEvery {
		ss.quotas, ss.looked = ss.source.Quotas(ctx), now
	}
	s.quotas = ss.quotas
	s.fill(before)
	if s.Rest != nil {
		s.Rest()
	}
	work := ss.source.Begin(ctx)
	defer work.End()
	var bad []string
	for i := range s.rows {
		work.Step()
		r := &s.rows[i]
		word, _, _ := strings.Cut(r.Name, "/")
		if n := len(s.families); n == 0 || s.families[n-1].word != word {
			s.families = append(s.families, family{word: word, from: i})
		}
		f := &s.families[len(s.families)-1]
		f.to = i + 1
		f.states[r.State]++
		s.states[r.State]++
		if troubled(r) {
			f.bad++
			s.bad++
			bad = append(bad, r.Name)
		}
	}
	s.tickets = ss.source.Details(ss.source.Tickets())
	s.troubles = troubles(ss.source.Details(s.worst(bad)))
	s.events = ss.source.Recent(ctx, maxEvents)
	s.Summaries, s.Asked, s.EachQuota, s.Rest = nil, nil, nil, nil
	return s
}

// fill sets rows and place. If the names are those of before, it needs no comparison of names.
func (s *snapshot) fill(before *snapshot) {
	if s.Summaries == nil {
		return
	}
	if before != nil {
		s.place = before.place
		s.rows = make([]credential.Summary, len(before.rows))
		n := 0
		for r := range s.Summaries {
			i, known := s.place[r.Name]
			if !known || s.rows[i].Name != "" {
				n = -1
				break
			}
			s.rows[i] = *r
			n++
		}
		if n == len(s.rows) {
			return
		}
	}
	s.rows = s.rows[:0]
	for r := range s.Summaries {
		s.rows = append(s.rows, *r)
	}
	slices.SortFunc(s.rows, func(a, b credential.Summary) int { return cmp.Compare(a.Name, b.Name) })
	s.place = make(map[string]int, len(s.rows))
	for i := range s.rows {
		s.place[s.rows[i].Name] = i
	}
}

// urgency is the states that need attention, the most urgent first.
var urgency = []credential.State{credential.Held, credential.Expired, credential.Waiting, credential.Stale}

// rank returns the place of a state in urgency. Other states are last.
func rank(s credential.State) uint { return uint(slices.Index(urgency, s)) }

// troubled reports whether a credential needs attention.
func troubled(r *credential.Summary) bool {
	return slices.Contains(urgency, r.State) || r.Failures > 0 || !r.Durable
}

// worst returns the most urgent of the names, maxTroubles at most, sorted by name.
func (s *snapshot) worst(names []string) []string {
	if len(names) > maxTroubles {
		slices.SortStableFunc(names, func(a, b string) int {
			return cmp.Compare(rank(s.rows[s.place[a]].State), rank(s.rows[s.place[b]].State))
		})
		names = names[:maxTroubles]
		slices.Sort(names)
	}
	return names
}

// alike reports whether a page of t shows what a page of s shows, besides times that run and the
// figures since the start.
func (s *snapshot) alike(t *snapshot) bool {
	return slices.EqualFunc(s.rows, t.rows, func(a, b credential.Summary) bool { return same(&a, &b) }) &&
		slices.EqualFunc(s.events, t.events, func(a, b credential.Event) bool { return a.Name == b.Name && a.At.Equal(b.At) }) &&
		slices.Equal(s.quotas, t.quotas) && s.Store.Refusing == t.Store.Refusing && s.Loading == t.Loading
}

// same reports whether two summaries are of one credential in one condition.
func same(a, b *credential.Summary) bool {
	return a.Name == b.Name && a.State == b.State && a.ErrCode == b.ErrCode && a.Failures == b.Failures && a.Durable == b.Durable &&
		near(a.FetchedAt, b.FetchedAt) && near(a.ExpiresAt, b.ExpiresAt) && near(a.NextRefresh, b.NextRefresh)
}

// near reports whether two times are one moment, converted twice from the clock that survives
// suspend.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 50*time.Millisecond }

// row returns the summary of name, or nil.
func (s *snapshot) row(name string) *credential.Summary {
	if i, ok := s.place[name]; ok {
		return &s.rows[i]
	}
	return nil
}
