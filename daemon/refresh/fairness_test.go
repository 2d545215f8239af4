package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers/secret"
)

// neighbors are two platforms and accounts at one host. The calls of one of them hang.
type neighbors struct {
	name           string
	hanging, other string // platforms
	account        string // name of an account's token, with %d
	kind           *policy.Policy
	accountHangs   bool
}

var allNeighbors = []neighbors{
	{"a platform", "open_platform/wxa", "open_platform/wxb", "official_account/wx%d/access_token", policy.StableToken, false},
	{"a suite", "open_work/tja", "open_work/tjb", "work/ww%d/7/access_token", policy.CorpToken, false},
	{"a corp", "work/wwa", "open_work/tjb", "work/ww%d/7/access_token", policy.CorpToken, true},
}

// site returns a WeChat of n, with customers whose values have from least to most left, and the
// names of the tokens of the hanging owner, the other one, and an account.
func (n *neighbors) site(t *testing.T, least, most time.Duration) (w *site, hanging, other, account []string) {
	t.Helper()
	const customers = 300
	w = newSite()
	if n.accountHangs {
		for i := range customers {
			left := least + (most-least)*time.Duration(i)/customers
			hanging = append(hanging, w.has(t, Spec{Name: fmt.Sprintf("%s/%d/access_token", n.hanging, i), Policy: n.kind}, sooner(left)))
		}
	} else {
		hanging = w.platform(t, n.hanging, customers, sooner(least), sooner(most))
	}
	other = w.platform(t, n.other, customers, least, most)
	for i := range 3 {
		account = append(account, w.has(t, Spec{Name: fmt.Sprintf(n.account, i), Policy: n.kind}, most))
	}
	return w, hanging, other, account
}

// sooner returns what the values of the hanging owner have left where those of others have left.
func sooner(left time.Duration) time.Duration { return max(0, left-time.Minute) }

// slowest returns how long the slowest of the requests do took.
func slowest(t *testing.T, do ...func(ctx context.Context) error) (most time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, f := range do {
		all.Go(func() {
			began := time.Now()
			if err := f(t.Context()); err != nil {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			mu.Lock()
			defer mu.Unlock()
			most = max(most, time.Since(began))
		})
	}
	all.Wait()
	return most
}

// TestColdReaderBesideHangingOwner holds that however many readers wait for one owner, whose calls
// hang, the calls for another owner wait for none of them.
func TestColdReaderBesideHangingOwner(t *testing.T) {
	for _, n := range allNeighbors {
		t.Run(n.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, hanging, other, account := n.site(t, 0, 0)
				w.answer(n.hanging, forever)
				r := w.start(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var readers sync.WaitGroup
				defer readers.Wait()
				flood := func(do func()) {
					readers.Go(func() {
						for ctx.Err() == nil {
							do()
							time.Sleep(time.Second)
						}
					})
				}
				for _, name := range hanging[:200] {
					flood(func() { _, _ = r.Get(ctx, name) })
				}
				if !n.accountHangs {
					for i := range 20 {
						flood(func() { _, _ = r.Get(credential.WithUser(ctx, i), n.hanging+"/pre_auth_code") })
						flood(func() { _, _ = r.Exchange(ctx, n.hanging, secret.Text(fmt.Sprint("wx", i))) })
						flood(func() { _, _ = r.Import(ctx, n.hanging, i) })
					}
				}
				get := func(name string) func(context.Context) error {
					return func(ctx context.Context) error { _, err := r.Get(ctx, name); return err }
				}
				var platform, own, rest time.Duration
				for i := range 3 {
					time.Sleep(25 * time.Second)
					synctest.Wait()
					platform = max(platform, slowest(t, get(other[i])))
					own = max(own, slowest(t, get(account[i])))
					rest = max(rest, slowest(t, get(n.other+"/pre_auth_code"),
						func(ctx context.Context) error {
							if i > 1 {
								return nil
							}
							_, err := r.Exchange(ctx, n.other, secret.Text(fmt.Sprint("new", i+1)))
							return err
						},
						func(ctx context.Context) error { _, err := r.Import(ctx, n.other, 0); return err }))
				}
				for what, took := range map[string]time.Duration{"platform": platform, "account": own, "other calls": rest} {
					if took > 100*time.Millisecond+time.Second {
						t.Errorf("%s: waited %v", what, took)
					}
				}
				t.Logf("a cold reader of another platform waited %v, one of an account %v, other calls %v", platform, own, rest)
				w.mustShare(t)
				cancel()
			})
		})
	}
}

// TestReaderBesideHangingRefreshes holds that the schedule leaves a place to readers of the owner
// whose refreshes hang: it takes them for many customers at once, and WeChat's endpoints fail one
// by one.
func TestReaderBesideHangingRefreshes(t *testing.T) {
	for _, owner := range []string{"open_platform/wxa", "open_work/tja"} {
		t.Run(owner, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newSite()
				w.platform(t, owner, 300, time.Minute, 2*time.Minute)
				for i := range w.all {
					if s := &w.all[i]; s.Policy == policy.AuthorizerToken || s.Policy == policy.AuthCorpToken {
						s.Fetcher = siteFetcher{w, "hanging/endpoint"}
					}
				}
				w.answer("hanging/endpoint", forever)
				r := w.start(t)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if w.atOnce()["hanging/endpoint"] < 8 {
					t.Fatal("few refreshes hang: nothing was tested")
				}
				took := slowest(t, func(ctx context.Context) error {
					_, err := r.Get(ctx, owner+"/pre_auth_code")
					return err
				})
				if took > time.Second {
					t.Errorf("a pre_auth_code took %v", took)
				}
			})
		})
	}
}

// TestScheduleBesideHangingOwner holds that while the calls for one owner hang and nobody reads,
// no credential of another owner expires.
func TestScheduleBesideHangingOwner(t *testing.T) {
	for _, n := range allNeighbors {
		for _, latency := range []time.Duration{100 * time.Millisecond, 2 * time.Second} {
			t.Run(fmt.Sprint(n.name, " ", latency), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w, _, other, account := n.site(t, 2*time.Minute, 8*time.Minute)
					w.answer(n.hanging, forever)
					w.answer(n.other, latency)
					w.start(t)
					time.Sleep(20 * time.Minute)
					w.mustNotExpire(t, other, account)
					w.mustShare(t)
				})
			})
		}
	}
}

// TestScheduleBesideHangingOwners holds the same for three owners whose calls hang.
func TestScheduleBesideHangingOwners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const least, most = 2 * time.Minute, 8 * time.Minute
		w := newSite()
		for i := range 3 {
			owner := fmt.Sprint("open_platform/wxa", i)
			w.platform(t, owner, 300, sooner(least), sooner(most))
			w.answer(owner, forever)
		}
		other := w.platform(t, "open_platform/wxb", 300, least, most)
		account := w.has(t, Spec{Name: app, Policy: policy.StableToken}, most)
		w.start(t)
		time.Sleep(20 * time.Minute)
		w.mustNotExpire(t, other, []string{account})
		w.mustShare(t)
	})
}

// TestOutageBesideHangingOwner holds the same after an outage in which everything became due:
// WeChat answers again, but not the calls for one owner.
func TestOutageBesideHangingOwner(t *testing.T) {
	for _, n := range allNeighbors {
		t.Run(n.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _, other, account := n.site(t, 10*time.Minute, 12*time.Minute)
				w.down = true
				w.start(t)
				time.Sleep(8 * time.Minute)
				w.mu.Lock()
				w.down = false
				w.mu.Unlock()
				w.answer(n.hanging, forever)
				time.Sleep(20 * time.Minute)
				w.mustNotExpire(t, other, account)
				w.mustShare(t)
			})
		})
	}
}

// TestSlowWeChat holds that the schedule takes up to three quarters of the places at a host whose
// answers take 2 s, and one less than half of them for the customers of one owner.
func TestSlowWeChat(t *testing.T) {
	const n, latency = 400, 2 * time.Second
	for _, tc := range []struct {
		name   string
		owners int // whose customers they are; 0 for accounts
		left   time.Duration
		places int
		within time.Duration
	}{
		{"accounts in time", 0, 4 * time.Minute, 24, 40 * time.Second},
		{"accounts with little time", 0, 15 * time.Second, 24, 40 * time.Second},
		{"expired accounts", 0, -time.Minute, 24, 40 * time.Second},
		{"customers of one platform", 1, 15 * time.Second, 15, 57 * time.Second},
		{"customers of three platforms", 3, 15 * time.Second, 24, 45 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newSite()
				for i := range max(tc.owners, 1) {
					owner := fmt.Sprint("open_platform/wx", i)
					w.answer(owner, latency)
					if tc.owners > 0 {
						w.platform(t, owner, n/tc.owners, tc.left, tc.left)
					}
				}
				if tc.owners == 0 {
					for i := range n {
						name := fmt.Sprintf("official_account/wx%d/access_token", i)
						w.answer(credential.OwnerOf(name), latency)
						w.has(t, Spec{Name: name, Policy: policy.StableToken}, tc.left)
					}
				}
				all := len(w.ends)
				w.start(t)
				began := time.Now()
				fresh := func() (n int) {
					w.mu.Lock()
					defer w.mu.Unlock()
					for _, end := range w.ends {
						if time.Until(end) > time.Hour {
							n++
						}
					}
					return n
				}
				for fresh() < all && time.Since(began) < 10*time.Minute {
					time.Sleep(time.Second)
				}
				took, most := time.Since(began), w.atOnce()[""]
				w.mu.Lock()
				late := len(w.expired)
				w.mu.Unlock()
				t.Logf("%d refreshed in %v with %d of 32 places; %d had expired", fresh(), took, most, late)
				if took > tc.within {
					t.Errorf("it took %v, want %v at most", took, tc.within)
				}
				if most > tc.places || most < tc.places-3 {
					t.Errorf("%d places were taken, want %d", most, tc.places)
				}
			})
		})
	}
}
