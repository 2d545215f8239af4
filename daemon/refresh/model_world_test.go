package refresh

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// world is what the engine of a model run lives in: WeChat, a disk, a clock. It knows the
// truth, and what it has told the engine, and notes what must never be.
type world struct {
	seed   uint64
	weight int // of each 100 calls, how many go wrong
	began  time.Time

	mu     sync.Mutex
	drift  time.Duration // true time beyond the bubble's
	bootAt time.Duration
	boot   int
	life   *life // the incarnation that lives
	wrong  []string
	trace  []string
	sick   bool // calls may go wrong, as weight says

	names  map[string]*truth
	grants map[string]*grantTruth     // by customer's path
	called map[string][]time.Duration // by what is counted
	codes  map[string]string          // code to customer's path; used ones are gone
	faults int

	listed time.Duration // until when a hold for an address may end because of another's answer
}

func newWorld(seed uint64, weight int) *world {
	return &world{
		seed: seed, weight: weight, began: time.Now(), sick: true,
		names: map[string]*truth{}, grants: map[string]*grantTruth{},
		called: map[string][]time.Duration{}, codes: map[string]string{},
	}
}

// now is true time. mu is held.
func (w *world) now() time.Duration { return time.Since(w.began) + w.drift }

// boottime is what the host tells the engine.
func (w *world) boottime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now() - w.bootAt
}

func (w *world) bootID() string { return fmt.Sprint("boot-", w.boot) }

// violate notes what must never be. mu is held.
func (w *world) violate(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf("%v: ", w.now())+fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12v ", w.now())+fmt.Sprintf(format, args...))
}

// chance returns a source that depends on the run, on what it is for and on how often that
// was, and not on the order in which goroutines come by.
func (w *world) chance(what string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, what, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// answer notes that the engine gets an answer that lives for life, which it counts from before the
// call. mu is held.
func (w *world) answer(t *truth, came, life time.Duration) {
	if t.unlisted != 0 && came >= t.unlisted { // not of a call beside the refused one
		w.listing()
		t.unlisted, t.wasUnlisted = 0, t.unlisted
	}
	t.dead, t.class = "", 0
	t.lift()
	t.answered, t.ended = w.now(), came+life
	t.valid = min(t.valid, t.ended)
}

// listing notes that the engine learns that the host's address is listed, which ends the holds of
// others when the answer has landed. mu is held.
func (w *world) listing() {
	w.listed = w.now() + 2*modelDawdle
	for _, t := range w.names {
		if t.class == fetchers.AddressRefused {
			t.free = max(t.free, w.listed)
			t.lift()
		}
	}
}

// arrives judges a call as it comes. mu is held.
func (w *world) arrives(t *truth, ask fetchers.Ask) {
	switch perAsk := t.kind.PerAsk; {
	case !perAsk && t.underway > 0:
		w.violate("%s: two calls at once", t.name)
	case perAsk && t.underway >= asksAtOnce:
		w.violate("%s: %d calls at once", t.name, t.underway+1)
	case perAsk && time.Since(t.asked) > modelAskLasts:
		w.violate("%s: called, and nobody has asked for %v", t.name, time.Since(t.asked))
	}
	with := string(ask.Parent) + "|" + string(ask.Grant)
	if now := w.now(); now < t.held && now >= t.free && t.freed == 0 && (t.refusedWith == "" || t.refusedWith == with) {
		w.violate("%s: called %v before the end of a hold (%s), with %s", t.name, t.held-now, t.heldWhy, with)
	}
	w.charge(t, ask.Force)
}

// quotas is what WeChat counts, by kind.
var quotas = map[*policy.Policy]quota.Budget{
	// That of tickets is tokend's own.
	policy.Ticket: {Window: time.Hour, Limit: 95}, policy.AuthorizerTicket: {Window: time.Hour, Limit: 95},
	policy.CorpTicket: {Window: time.Hour, Limit: 100}, policy.RotatingToken: {Window: day, Limit: 2000},
	policy.PreAuthCode: {Window: time.Hour, Limit: modelAsks + modelAsks/10},
}

const (
	// modelAsks is how many calls an hour a run allows for what is fetched for each request.
	modelAsks = 50

	// modelAskLasts is how long a fetch for one request takes at most, tries and parents included.
	modelAskLasts = 5 * time.Minute
)

// charge counts a call against WeChat's quotas, over all lives. mu is held.
func (w *world) charge(t *truth, forced bool) {
	count := func(key string, window time.Duration, limit int) {
		now := w.now()
		calls := append(w.called[key], now)
		for now-calls[0] >= window {
			calls = calls[1:]
		}
		w.called[key] = calls
		if len(calls) > limit {
			w.violate("%s: %d calls within %v", key, len(calls), window)
		}
	}
	if q, ok := quotas[t.kind]; ok {
		count(t.name, q.Window, q.Limit)
	}
	if forced {
		count(t.name+" forced", day, 20)
		count(t.name+" forced at once", 30*time.Second-modelDawdle, 1)
	}
}

// arrival is a call as it came.
type arrival struct {
	ask      fetchers.Ask
	settings int // of the truth
	came     time.Duration
}

// tell notes what the engine learns by err, with which c has failed. mu is held.
func (w *world) tell(t *truth, c arrival, err error) error {
	w.faults++
	w.note("%s: %v", t.name, err)
	hold, with := time.Duration(0), ""
	counts := c.settings == t.settings && c.came > t.dropped
	api, ok := errors.AsType[*fetchers.APIError](err)
	if ok {
		switch api.Reaction {
		case fetchers.ParentDead:
			w.kills(c.ask.Parent)
		case fetchers.Misconfigured, fetchers.Malformed:
			hold = 5 * time.Minute
		case fetchers.AddressRefused:
			t.unlisted = w.now()
			if w.now() >= w.listed+liftEvery { // sooner is a hold short, or none
				hold = 5 * time.Minute
			}
		case fetchers.QuotaMinute, fetchers.QuotaDay:
			if counts && !t.kind.PerAsk { // of those beside each other one counts
				t.quotas++
			}
			hold = min(time.Minute<<min(max(t.quotas-1, 0), 6), time.Hour)
		case fetchers.Reauthorize:
			hold, with = forEver, string(c.ask.Parent)+"|"+string(c.ask.Grant)
		case fetchers.NewTicket:
			hold, with = forEver, string(c.ask.Parent)+"|"+string(c.ask.Grant)
		}
	}
	if counts && !errors.Is(err, context.Canceled) {
		t.held, t.told, t.heldWhy, t.refusedWith = w.now()+hold, w.now(), err.Error(), with
		if t.kind.PerAsk {
			t.free = w.now() + modelAskLasts // others are under way beside it
		}
		if ok {
			t.class = api.Reaction
		}
	}
	return err
}

// freeing notes that a customer gets a grant, which ends the holds of what lives by it as soon as
// it is written. mu is held.
func (w *world) freeing(customer string) {
	for name, t := range w.names {
		if strings.HasPrefix(name, customer+"/") {
			t.free = max(t.free, w.now()+2*modelDawdle)
			t.lift()
		}
	}
}

// uses judges that a call is made with a parent's value. mu is held.
func (w *world) uses(value secret.Text) {
	name, _, _ := strings.Cut(string(value), "#")
	if t := w.names[name]; t != nil && t.dead == string(value) && w.now() > t.died {
		w.violate("%s: used again %v after WeChat has refused it as dead", t.dead, w.now()-t.died)
	}
}

// kills notes that the engine learns that a parent's value is dead. Shortly after an answer of the
// parent the engine need not believe it: WeChat may have repeated the value, or the call is the
// second after the first was answered likewise. mu is held.
func (w *world) kills(value secret.Text) {
	name, gen, _ := strings.Cut(string(value), "#")
	t := w.names[name]
	if t == nil || t.value == nil || grantGen(secret.Text("!"+gen)) != t.value.gen || w.now()-t.answered < 2*time.Minute {
		return
	}
	t.dead, t.died = string(value), w.now()
}

// setBack makes everything on disk look as if the wall clock had been set back since, to the time
// by before the newest of it.
func setBack(d *disk, by time.Duration) {
	var newest time.Time
	for r := range d.All(record.Credentials) {
		if c, err := record.DecodeCredential(r); err == nil && c.Seen.Wall.After(newest) {
			newest = c.Seen.Wall
		}
	}
	if !newest.IsZero() {
		by += time.Since(newest)
	}
	for _, table := range []record.Table{record.Credentials, record.Holds, record.Budgets, record.Grants, record.Codes} {
		for r := range d.All(table) {
			_ = d.Store.Put(context.Background(), later(r, by))
		}
	}
}

// later returns r as if the wall clock had been by further when it was written.
func later(r record.Record, by time.Duration) record.Record {
	move := func(ms ...*record.Moment) {
		for _, m := range ms {
			if !m.Wall.IsZero() {
				m.Wall = m.Wall.Add(by)
			}
		}
	}
	at := func(ts ...*time.Time) {
		for _, t := range ts {
			if !t.IsZero() {
				*t = t.Add(by)
			}
		}
	}
	switch r.Table {
	case record.Credentials:
		c, _ := record.DecodeCredential(r)
		move(&c.Issued, &c.Seen, &c.End)
		at(&c.Stamp)
		return c.Encode()
	case record.Holds:
		h, _ := record.DecodeHold(r)
		move(&h.Since, &h.Until)
		return h.Encode()
	case record.Budgets:
		b, _ := record.DecodeBudget(r)
		for i := range b.Slices {
			move(&b.Slices[i].First, &b.Slices[i].Last)
		}
		return b.Encode()
	case record.Grants:
		g, _ := record.DecodeGrant(r)
		at(&g.At) // Revoked is WeChat's
		for i := range g.Earlier {
			at(&g.Earlier[i].At)
		}
		return g.Encode()
	default:
		c, _ := record.DecodeCode(r)
		move(&c.Until, &c.Next) // At is WeChat's
		return c.Encode(r.Key)
	}
}
