package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is a schedule: everything that happens in it and is not a consequence. It depends on the
// seed and the style alone.
type plan struct {
	seed    uint64
	style   style
	hosts   int
	life    time.Duration // of tokens
	tight   bool          // budgets are nearly used up
	oneBoot bool          // all hosts have the same boot ID, as containers have
	skewed  bool          // wall clocks differ
	odd     oddity        // of the configuration of one host
	oddHost int
	names   []string // credentials that clients read
	repeats bool     // WeChat repeats refresh tokens, as it usually does; else each call brings another
	aged    bool     // the first round begins an hour after a backup of etcd, which is restored in it
	rounds  []round

	alone   bool // a single host without peers
	flaw    flaw // of the way to WeChat, to show that the simulation notices it
	verbose bool // the timeline has the hosts' logs
}

// round is a time of faults, followed by a time without. Host healthy has no faults.
type round struct {
	healthy int
	lasts   time.Duration
	events  []event
}

// style is how faults are chosen.
type style uint8

const (
	random  style = iota // at any time
	steered              // at the steps between claim and landing
)

func (s style) String() string { return [...]string{"random", "steered"}[s] }

// oddity is how the configuration of one host differs.
type oddity uint8

const (
	likeOthers oddity = iota
	lacksAccount
	otherSecret
	longTimeout
)

func (o oddity) String() string {
	return [...]string{"", "lacks an account", "has another secret", "has a longer upstream.timeout"}[o]
}

// verb is what an event does.
type verb string

// Verbs that concern a host or the cluster.
const (
	rejects     verb = "REJECT"
	rejectsAll  verb = "REJECT at all hosts"
	refreshes   verb = "REFRESH"
	authorizes  verb = "a customer authorizes, the code is pushed"
	exchanges   verb = "a customer authorizes, EXCHANGE"
	leaves      verb = "a customer withdraws the authorization and authorizes again"
	pushesOld   verb = "gets an older ticket late"
	pauses      verb = "paused"
	crashes     verb = "crashes"
	dies        verb = "crashes and loses its disk"
	stops       verb = "stops"
	reboots     verb = "crashes and reboots"
	rewinds     verb = "crashes, and the clock of its boot steps back"
	cutEtcd     verb = "cut off from etcd"
	cutWeChat   verb = "cut off from WeChat"
	cutBoth     verb = "cut off from etcd and WeChat"
	badTxns     verb = "transactions fail at random"
	badCalls    verb = "calls fail at random"
	mutesWatch  verb = "watch is silent"
	breaksWatch verb = "watch ends"
	lagsWatch   verb = "watch is late"
	expires     verb = "session is ended by etcd"
	stepsClock  verb = "wall clock is set"
	reloads     verb = "configuration is reloaded"
	compacts    verb = "etcd is compacted"
	backsUp     verb = "etcd is backed up"
	empties     verb = "etcd is replaced by an empty one"
	restores    verb = "etcd is restored from the backup"
	freezes     verb = "a member of etcd freezes"
	losesQuorum verb = "etcd has no quorum"
	losesLease  verb = "keep-alives are lost"
	refusesRead verb = "reads of etcd are refused"
)

// Verbs that concern one transaction or one call.
const (
	loses   verb = "lost"
	unseen  verb = "applied, answer lost"
	delays  verb = "late"
	doubles verb = "arrives twice"
	refuses verb = "refused"
	waits   verb = "applied, answer late"
)

// event is something that happens: at a time, or at a step of a flight.
type event struct {
	verb
	at   time.Duration // since the round began
	step step          // if not 0: when the host takes it for the nth time in the round
	nth  int
	host int
	by   int           // host of what happens at the step of another, plus one
	only bool          // a message arrives at this host alone, or later at another
	d    time.Duration // how long it lasts
	n    uint64        // decides whatever else is open
}

// step is a step of a flight.
type step uint8

const (
	noStep step = iota
	claims
	calls
	answers
	journals
	lands
	gives
	extends
	joins
	writes
)

func (s step) String() string {
	return [...]string{"", "claim", "call", "answer", "write to its disk", "landing", "release or doubt", "keep-alive", "new session", "write without a claim"}[s]
}

func (e event) String() string {
	var b strings.Builder
	if e.step == noStep {
		fmt.Fprintf(&b, "at %v: ", e.at)
	} else {
		fmt.Fprintf(&b, "at %s %d of host%d: ", e.step, e.nth, e.host)
	}
	switch e.verb {
	case compacts, backsUp, empties, restores, rejectsAll, freezes, losesQuorum:
	default:
		if e.step == noStep || e.by > 0 {
			fmt.Fprintf(&b, "host%d ", e.actor())
		}
	}
	b.WriteString(string(e.verb))
	if e.only {
		b.WriteString(", at this host alone")
	}
	if e.d > 0 {
		fmt.Fprintf(&b, " for %v", e.d)
	}
	return b.String()
}

// actor returns the host that does what e says, or to which it happens.
func (e event) actor() int {
	if e.by > 0 {
		return e.by - 1
	}
	return e.host
}

// String returns p as one line.
func (p *plan) String() string {
	s := fmt.Sprintf("seed %d, %s faults, %d hosts, tokens live %v", p.seed, p.style, p.hosts, p.life)
	if p.tight {
		s += ", small budgets"
	}
	if p.oneBoot {
		s += ", one boot ID"
	}
	if p.skewed {
		s += ", wall clocks differ"
	}
	if p.repeats {
		s += ", refresh tokens are repeated"
	}
	if p.aged {
		s += ", a backup of an hour ago"
	}
	if p.odd != likeOthers {
		s += fmt.Sprintf(", host%d %s", p.oddHost, p.odd)
	}
	return s + ", clients read " + strings.Join(p.names, ", ")
}

// newPlan returns the plan of a seed.
func newPlan(seed uint64, s style) *plan {
	r := rand.New(rand.NewPCG(seed, uint64(s)+1))
	p := &plan{
		seed: seed, style: s, hosts: 3 + r.IntN(3),
		life:    pick(r, 12*time.Minute, 12*time.Minute, 12*time.Minute, 24*time.Minute, 45*time.Minute),
		tight:   r.IntN(6) == 0,
		oneBoot: r.IntN(3) == 0,
		skewed:  r.IntN(3) == 0,
		odd:     pick(r, likeOthers, likeOthers, likeOthers, lacksAccount, otherSecret, longTimeout),
	}
	p.oddHost = r.IntN(p.hosts)
	p.repeats = mix(seed, 1)%3 == 0
	p.names = []string{firstCustomer}
	for _, name := range someNames {
		if r.IntN(5) == 0 {
			p.names = append(p.names, name)
		}
	}
	if p.style == steered {
		for range 1 + r.IntN(2) {
			p.rounds = append(p.rounds, p.steer(r))
		}
	} else {
		p.rounds = append(p.rounds, p.roam(r))
		if x := &p.rounds[0]; mix(seed)%20 == 0 {
			p.aged = true
			x.events = append(x.events, event{verb: restores, at: time.Duration(r.Int64N(int64(x.lasts))), n: r.Uint64()})
			x.sort()
		}
	}
	return p
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// faulty returns a host other than the healthy one.
func faulty(r *rand.Rand, hosts, healthy int) int { return (healthy + 1 + r.IntN(hosts-1)) % hosts }

// spans are how long faults last: less and more than a request, a call, a session, a late
// transaction and the overlap.
var spans = []time.Duration{
	500 * time.Millisecond, 2 * time.Second, 4 * time.Second, 9 * time.Second, 17 * time.Second, 21 * time.Second,
	35 * time.Second, 70 * time.Second, 130 * time.Second, 390 * time.Second,
}

func span(r *rand.Rand) time.Duration {
	d := spans[r.IntN(len(spans))]
	return d + time.Duration(r.Int64N(int64(d)/2))
}

// roam returns a round with faults at any time.
func (p *plan) roam(r *rand.Rand) round {
	x := round{healthy: r.IntN(p.hosts), lasts: time.Duration(5+r.IntN(12)) * time.Minute}
	verbs := []verb{
		rejects, rejects, rejects, rejectsAll, refreshes, authorizes, exchanges, leaves,
		pauses, pauses, crashes, dies, stops, reboots, rewinds, cutEtcd, cutEtcd, cutWeChat, cutBoth, badTxns, badTxns, badTxns, badCalls, badCalls, badCalls,
		mutesWatch, breaksWatch, lagsWatch, expires, expires, stepsClock, reloads, compacts, freezes, losesQuorum,
	}
	for range 6 + r.IntN(20) {
		x.events = append(x.events, event{
			verb: verbs[r.IntN(len(verbs))], at: time.Duration(r.Int64N(int64(x.lasts))), host: faulty(r, p.hosts, x.healthy), d: span(r), n: r.Uint64(),
		})
	}
	if r.IntN(5) == 0 {
		x.events = append(x.events, p.restore(r, x.lasts)...)
	}
	x.sort()
	return x
}

// restore returns a backup of etcd and its later restore.
func (p *plan) restore(r *rand.Rand, lasts time.Duration) []event {
	at := time.Duration(r.Int64N(int64(lasts)))
	return []event{
		{verb: backsUp, at: time.Duration(r.Int64N(int64(at) + 1)), n: r.Uint64()},
		{verb: restores, at: at, n: r.Uint64()},
	}
}

func (x *round) sort() {
	slices.SortStableFunc(x.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
}

// without returns a copy of p without n events from the ith on, counted over all rounds.
func (p *plan) without(i, n int) *plan {
	c := *p
	c.rounds = slices.Clone(p.rounds)
	for k := range c.rounds {
		events := c.rounds[k].events
		from, to := min(max(i, 0), len(events)), min(max(i+n, 0), len(events))
		c.rounds[k].events = slices.Delete(slices.Clone(events), from, to)
		i -= len(events)
	}
	return &c
}

// events returns how many events p has.
func (p *plan) events() (n int) {
	for _, x := range p.rounds {
		n += len(x.events)
	}
	return n
}
