package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// killable is a disk as one life of an engine sees it, until it is killed: from then on that life
// writes nothing.
type killable struct {
	*disk
	killed atomic.Bool
}

var errKilled = errors.New("killed")

func (d *killable) Put(ctx context.Context, recs ...record.Record) error {
	if d.killed.Load() {
		return errKilled
	}
	return d.disk.Put(ctx, recs...)
}

// crashes is how often an engine is killed in a crash loop.
const crashes = 100

// TestCrashLoopCalls holds an engine that dies repeatedly, at moments
// that chance has it, to the calls of an engine that lives through the same time with the
// same readers.
func TestCrashLoopCalls(t *testing.T) {
	refused := func(code int, r fetchers.Reaction) answerFunc {
		return func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(code, r)
		}
	}
	hangs := func(ctx context.Context, _ fetchers.Ask, _ int) (fetchers.Token, error) {
		<-ctx.Done()
		return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: ctx.Err()}
	}
	down := func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() }
	// What WeChat answers once the first value is there.
	worlds := []struct {
		name   string
		answer answerFunc
	}{
		{"unreachable", down},
		{"hanging", hangs},
		{"busy", refused(-1, fetchers.Retry)},
		{"wrong secret", refused(40125, fetchers.Misconfigured)},
		{"minute quota", refused(45011, fetchers.QuotaMinute)},
		{"repeating", func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return token("first", 2*time.Hour), nil
		}},
	}
	// How old the first value is when the loop begins.
	ages := []time.Duration{0, 2*time.Hour - 4*time.Minute, 2*time.Hour - 10*time.Second, 3 * time.Hour}
	for _, kind := range []*policy.Policy{policy.StableToken, policy.RotatingToken, policy.Ticket, policy.CorpTicket} {
		for _, w := range worlds {
			for _, age := range ages {
				if w.name == "repeating" && kind == policy.RotatingToken {
					continue // which never repeats
				}
				for _, life := range []time.Duration{10 * time.Second, time.Minute} {
					t.Run(fmt.Sprintf("%s/%s/%s/every %s", kind, w.name, age, life), func(t *testing.T) {
						one, loop := crashLoop(t, kind, w.answer, age, life, false), crashLoop(t, kind, w.answer, age, life, true)
						if loop > one {
							t.Errorf("calls in a loop of %d crashes: got %d, want the %d of one run at most", crashes, loop, one)
						}
					})
				}
			}
		}
	}
}

type answerFunc = func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error)

// crashLoop returns how many calls are made for a credential whose first value has the given age,
// in a time in which a hundred engines live life each, as it comes, and are killed; or one engine,
// in the same time.
func crashLoop(t *testing.T, kind *policy.Policy, answer answerFunc, age, life time.Duration, kill bool) (calls int) {
	synctest.Test(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return token("first", 2*time.Hour), nil
		}}
		d := newDisk()
		cfg := Config{Catalog: specs(Spec{Name: app, Policy: kind, Fetcher: up}), Timeout: 5 * time.Second}
		cfg.Store = d
		r := start(t, cfg)
		r.mustGet(app)
		r.stop()
		time.Sleep(age)
		up.answers(answer)
		calls = -up.count()

		handle := &killable{disk: d}
		cfg.Store = handle
		r = start(t, cfg)
		chance := rand.New(rand.NewPCG(1, 1))
		for range crashes {
			for range 3 {
				reader := r
				go func() { _, _ = reader.get(app) }()
				time.Sleep(time.Duration(chance.Int64N(int64(2 * life / 3))))
			}
			if kill {
				handle.killed.Store(true)
				before := up.count()
				r.stop()
				if n := up.count() - before; n != 0 {
					t.Errorf("%d calls of a dead engine", n)
				}
				handle = &killable{disk: d}
				cfg.Store = handle
				r = start(t, cfg)
			}
		}
		calls += up.count()
	})
	return calls
}
