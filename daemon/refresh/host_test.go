package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// corps returns the tokens of n corps, each with an account of its own.
func corps(n int, up Fetcher) []Spec {
	all := make([]Spec, n)
	for i := range all {
		all[i] = Spec{Name: fmt.Sprintf("work/ww%d/7/access_token", i), Policy: policy.CorpToken, Fetcher: up}
	}
	return all
}

// busiest returns how many of times lie within one window, where most do. times are in order.
func busiest(times []time.Time, window time.Duration) int {
	most, from := 0, 0
	for i, at := range times {
		for at.Sub(times[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// TestFaultyCallsStayBelowWeComsBlock: "2000 erroneous calls in one hour: blocked for one hour",
// all accounts of the address.
func TestFaultyCallsStayBelowWeComsBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40001, fetchers.Misconfigured)
		}}
		right, weixin := fresh(2*time.Hour), fresh(2*time.Hour)
		all := corps(2500, wrong)
		names := all[:]
		all = append(all,
			Spec{Name: corp, Policy: policy.CorpToken, Fetcher: right},
			Spec{Name: app, Policy: policy.StableToken, Fetcher: weixin})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		limited := 0
		for minute := range 3 * 60 {
			if minute == 30 || minute == 31 { // a restart knows what was spent
				r.stop()
				r = start(t, Config{Store: d, Catalog: specs(all...)})
			}
			for i := range 200 {
				if _, err := r.get(names[(minute*200+i)%len(names)].Name); reason(err) == credential.Limited {
					limited++
				}
			}
			r.mustGet(app) // another host
			time.Sleep(time.Minute)
		}
		if n := wrong.within(time.Hour); n > 1500 || n < 1000 {
			t.Errorf("faulty calls within an hour: got %d, want 1000 to 1500", n)
		}
		if limited == 0 {
			t.Error("no caller got the error of the spent quota")
		}
	})
}

func TestHealthyAmongFailing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(-1, fetchers.Retry)
		}}
		right := fresh(10 * time.Minute)
		all := append(corps(300, wrong), Spec{Name: corp, Policy: policy.CorpToken, Fetcher: right})
		r := start(t, Config{Catalog: specs(all...)})
		for range 6 * 60 {
			for _, s := range all[:300] {
				go func() { _, _ = r.get(s.Name) }()
			}
			r.mustGet(corp)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if n := wrong.within(time.Hour); n > 1500 {
			t.Errorf("faulty calls within an hour: got %d, want 1500 at most", n)
		}
	})
}

// TestCrowdedHostNarrowed: 45033 says that there are too many at once, of the address.
func TestCrowdedHostNarrowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const bearable = 6
		var now, most, refused atomic.Int32
		var mu sync.Mutex
		var refusals []time.Time
		up := &upstream{answer: func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			many := now.Add(1)
			defer now.Add(-1)
			most.Store(max(most.Load(), many))
			time.Sleep(200 * time.Millisecond)
			if many > bearable {
				refused.Add(1)
				mu.Lock()
				refusals = append(refusals, time.Now())
				mu.Unlock()
				return fetchers.Token{}, refusal(policy.WeCom.Crowded, fetchers.Retry)
			}
			return token(fmt.Sprintf("tok-%d", n), 2*time.Hour), nil
		}}
		all := corps(400, up)
		r := start(t, Config{Catalog: specs(all...), atFirst: 32, Calls: 32})
		began := time.Now()
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				for {
					_, err := r.get(s.Name)
					if err == nil {
						return
					}
					of, _ := mustError(err)
					time.Sleep(max(of.RetryAfter, time.Second))
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("all were served after %v", took)
		}
		if refused.Load() == 0 || most.Load() <= bearable {
			t.Fatalf("%d refused, %d at once: nothing was tested", refused.Load(), most.Load())
		}
		// One refusal halves what there is: 32, 16, 8, 4. Then one more is tried every half minute.
		mu.Lock()
		defer mu.Unlock()
		late := slices.IndexFunc(refusals, func(at time.Time) bool { return at.Sub(began) > 30*time.Second })
		if late >= 0 && len(refusals)-late > 60 {
			t.Errorf("refused later than half a minute: %d", len(refusals)-late)
		}
	})
}

func mustError(err error) (*credential.Error, bool) {
	of, ok := err.(*credential.Error)
	return of, ok
}

// TestFaultyCallsOnRefusingDisk: what the disk has refused to count of them is bounded, and written
// when the disk is well again.
func TestFaultyCallsOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40001, fetchers.Misconfigured)
		}}
		all := corps(1000, wrong)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		d.fail(errors.New("no space left"))
		for _, s := range all {
			_, _ = r.get(s.Name)
		}
		if n := wrong.count(); n < policy.WeCom.Faults.Spare/2 || n > policy.WeCom.Faults.Spare {
			t.Errorf("calls that were not counted: got %d, want half of %d at least and all at most", n, policy.WeCom.Faults.Spare)
		}
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		synctest.Wait()
		next := start(t, Config{Store: d, Catalog: specs()})
		spent := 0
		for _, s := range next.ledger.Get(policy.WeCom.Faults.Key("")).Slices {
			spent += s.Calls
		}
		if spent != wrong.count() {
			t.Errorf("the next run knows of %d faulty calls, want %d", spent, wrong.count())
		}
	})
}
