package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/fetchers/wechattest"
)

// world is everything in a run of a plan.
type world struct {
	plan  *plan
	began time.Time
	etcd  *kvtest.Etcd
	fake  *wechattest.WeChat
	truth *truth
	hosts []*host
	ops   sync.WaitGroup // everything that has to end before the run does

	names  *names
	script *script // of a test with faults of its own; nil for a schedule

	mu        sync.Mutex
	rounds    int           // that have begun or ended: what an event begins ends with its round
	healthy   int           // host without faults
	residual  bool          // a late call was lost with its host
	frozen    bool          // a member of etcd
	outage    time.Time     // when etcd lost its quorum; zero: it did not
	eased     time.Time     // when a fault between etcd and hosts has ended last
	rewound   time.Duration // by how much clocks have stepped back, in total
	backup    *kvtest.Backup
	nothing   *kvtest.Backup         // of etcd before the cluster
	diskLost  bool                   // with what no other host may have
	emptied   bool                   // etcd has lost all that it had
	restored  bool                   // etcd
	stamped   map[string]time.Time   // when the last ticket of a name was sent
	withdrawn map[customer]time.Time // when customers have withdrawn their authorization last
	unheard   map[customer]bool      // a withdrawal had not arrived when the customer authorized again
	thirds    map[string]time.Time   // when the last third of a code's life begins
	named     map[string]bool        // codes that came with the name of their customer
	armed     []event                // of this round, at steps
	taken     map[stepOf]int
	lines     []line
	wrong     []string
	counts    tally
}

// stepOf is a step of a host.
type stepOf struct {
	host int
	step step
}

// line is a line of the timeline.
type line struct {
	at   time.Duration
	who  string
	what string
}

// tally is how much has happened.
type tally struct {
	schedules, calls, claims, faults, reads, processes, residual int
	lived                                                        time.Duration
}

func (t *tally) add(o tally) {
	t.schedules += o.schedules
	t.calls += o.calls
	t.claims += o.claims
	t.faults += o.faults
	t.reads += o.reads
	t.processes += o.processes
	t.residual += o.residual
	t.lived += o.lived
}

func (t *tally) String() string {
	return fmt.Sprintf("%d schedules, %d calls, %d claims, %d faults, %d reads, %d processes, %.0f hours, %d with a late call lost",
		t.schedules, t.calls, t.claims, t.faults, t.reads, t.processes, t.lived.Hours(), t.residual)
}

func newWorld(p *plan) *world {
	t := newTruth()
	w := &world{
		plan: p, began: time.Now(), etcd: kvtest.New(), fake: newFake(p, t.counted), truth: t, names: newNames(),
		taken: map[stepOf]int{}, withdrawn: map[customer]time.Time{}, unheard: map[customer]bool{}, thirds: map[string]time.Time{}, named: map[string]bool{}, stamped: map[string]time.Time{},
	}
	w.nothing = w.etcd.Backup()
	for i := range p.hosts {
		w.hosts = append(w.hosts, newHost(w, i))
	}
	return w
}

// note adds a line to the timeline. h is nil for what concerns no host.
func (w *world) note(h *host, format string, args ...any) {
	who := ""
	if h != nil {
		who = h.name
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line{time.Since(w.began), who, fmt.Sprintf(format, args...)})
}

// violate notes that a promise is broken.
func (w *world) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note(nil, "!!! %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.wrong, text) {
		w.wrong = append(w.wrong, text)
	}
}

// timeline returns what has happened, as text.
func (w *world) timeline() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := slices.Clone(w.lines)
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%11.4fs  %-6s %s\n", l.at.Seconds(), l.who, l.what)
	}
	return b.String()
}

// atStep notes that a host takes a step, and does what the plan has for it. It returns what happens
// to the transaction or call itself, which has no verb if nothing does.
func (w *world) atStep(h *host, s step, what string) (fate event) {
	w.mu.Lock()
	switch s {
	case claims:
		w.counts.claims++
	case calls:
		w.counts.calls++
	}
	at := stepOf{h.i, s}
	w.taken[at]++
	var now []event
	w.armed = slices.DeleteFunc(w.armed, func(e event) bool {
		if e.host != h.i || e.step != s || e.nth != w.taken[at] {
			return false
		}
		now = append(now, e)
		return true
	})
	w.counts.faults += len(now)
	w.mu.Unlock()
	for _, e := range now {
		switch e.verb {
		case loses, unseen, delays, doubles, refuses, waits:
			fate = e
		default:
			if s != extends {
				w.note(h, "at the %s of %s:", s, what)
			}
			if e.kills() && e.n&1 == 1 && (s == claims || s == lands || s == gives || s == writes) {
				// The transaction is sent and applied before the crash.
				fate = event{verb: unseen}
				w.later(2*time.Millisecond, func() { w.do(e) })
				continue
			}
			if e.kills() {
				fate = e
			}
			w.do(e)
		}
	}
	return fate
}

// later does f after d, unless the round is over by then.
func (w *world) later(d time.Duration, f func()) {
	w.mu.Lock()
	round := w.rounds
	w.mu.Unlock()
	time.AfterFunc(max(d, 1), func() { // a timer that is due at once may crash the race detector
		w.mu.Lock()
		over := round != w.rounds
		w.mu.Unlock()
		if !over {
			f()
		}
	})
}

func itoa(n int) string { return strconv.Itoa(n) }

// shorten returns the end of a long text.
func shorten(s string) string {
	if len(s) > 60 {
		return "..." + s[len(s)-57:]
	}
	return s
}
