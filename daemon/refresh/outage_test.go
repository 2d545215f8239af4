package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/policy"
	"tokend/fetchers"
)

// quotaOf is WeChat's count of the calls for one account.
type quotaOf struct {
	times  []time.Time
	served int // answers with a value
}

// crowdOf is a WeChat with many accounts that all fall due in the same minute. It may be down.
type crowdOf struct {
	mu      sync.Mutex
	away    bool
	life    time.Duration
	calls   map[string]*quotaOf
	now     int
	most    int
	total   int
	latency time.Duration
}

// of returns the fetcher of one account.
func (c *crowdOf) of(name string) Fetcher { return accountFetcher{c, name} }

type accountFetcher struct {
	c    *crowdOf
	name string
}

func (f accountFetcher) Fetch(ctx context.Context, _ fetchers.Ask) (fetchers.Token, error) {
	c := f.c
	c.mu.Lock()
	if c.calls[f.name] == nil {
		c.calls[f.name] = &quotaOf{}
	}
	q := c.calls[f.name]
	q.times = append(q.times, time.Now())
	c.total++
	c.now++
	c.most = max(c.most, c.now)
	away, latency := c.away, c.latency
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.now--
		c.mu.Unlock()
	}()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: ctx.Err()}
	}
	if away {
		return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Err: errors.New("connection refused")}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q.served++
	return token(fmt.Sprint(f.name, time.Now().UnixNano()), c.life), nil
}

func (c *crowdOf) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.calls)
	c.total, c.most = 0, 0
}

// TestDueWithinMinuteAfterOutage: the tokens of many customers fall due within one minute,
// of an outage that then ends. Calls stay within the workers and the quotas, none is made twice,
// readers of what is valid never wait, and all is fresh again.
func TestDueWithinMinuteAfterOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const workers, calls = 16, 24
		c := &crowdOf{life: 10 * time.Minute, latency: 50 * time.Millisecond, calls: map[string]*quotaOf{}}
		var all []Spec
		for i := range crowd {
			kind := policy.StableToken
			if i%2 == 1 {
				kind = policy.RotatingToken // 2000 a day
			}
			name := fmt.Sprintf("official_account/wx%d/access_token", i)
			all = append(all, Spec{Name: name, Policy: kind, Fetcher: c.of(name)})
		}
		r := start(t, Config{Catalog: specs(all...), atFirst: workers, Calls: calls, Logger: hclog.NewNullLogger()})
		var wg sync.WaitGroup
		for _, s := range all { // in one minute
			wg.Go(func() {
				time.Sleep(time.Duration(rand.Int64N(int64(time.Minute))))
				for {
					if _, err := r.get(s.Name); err == nil {
						return
					}
				}
			})
		}
		wg.Wait()
		began := time.Now()

		c.mu.Lock()
		c.away = true
		c.mu.Unlock()
		c.reset()
		time.Sleep(6 * time.Minute)

		// Readers all the while, of what is valid and then of what is not.
		var slow, reads atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for i := range 20 {
			readers.Go(func() {
				chance := rand.New(rand.NewPCG(uint64(i), 1))
				for ctx.Err() == nil {
					name := all[chance.IntN(len(all))].Name
					_, valid := r.Cached([]byte(name))
					asked := time.Now()
					_, err := r.get(name)
					if valid && (err != nil || time.Since(asked) > 0) {
						slow.Add(1)
					}
					reads.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Until(began.Add(c.life + 2*time.Minute))) // all are dead
		cancel()
		readers.Wait()
		synctest.Wait()
		outage := c.total
		if slow.Load() > 0 {
			t.Errorf("%d of %d reads of a valid value waited or failed", slow.Load(), reads.Load())
		}
		if c.most > calls {
			t.Errorf("calls at once in the outage: got %d, want %d at most", c.most, calls)
		}
		for name, q := range c.calls {
			// After the first quick tries at most two a minute.
			if got := busiest(q.times, time.Minute); got > 6 {
				t.Fatalf("%s: %d calls within a minute of the outage", name, got)
			}
		}

		c.mu.Lock()
		c.away = false
		c.mu.Unlock()
		c.reset()
		back := time.Now()
		// At workers calls of latency each: so long, and the longest pause before it.
		most := time.Duration(crowd/workers)*c.latency + 2*time.Minute
		time.Sleep(most)
		synctest.Wait()
		if c.most > workers {
			t.Errorf("calls at once after the outage: got %d, want %d at most", c.most, workers)
		}
		for _, s := range all {
			if _, ok := r.Cached([]byte(s.Name)); !ok {
				t.Fatalf("%s: not there %v after the outage", s.Name, time.Since(back))
			}
			if got := c.calls[s.Name].served; got != 1 {
				t.Fatalf("%s: fetched %d times after the outage", s.Name, got)
			}
		}
		t.Logf("%d credentials: %d calls in the outage, %d after it, %d at once at most; %d reads", crowd, outage, c.total, c.most, reads.Load())
	})
}
