package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// listing is a platform whose WeChat lists each customer's grant, and takes no other.
type listing struct {
	*platformOf
	mu     sync.Mutex
	grants map[string]secret.Text
	asked  []int // the offsets of the pages, in their order
	page   int   // how many customers one has at most; 0: as many as were asked for
	lack   int   // how many WeChat counts and does not show
	skip   int   // how many entries of the first page cannot be read
	err    error
	delay  time.Duration
	life   time.Duration // of a token
}

func newListing(grants map[string]secret.Text, children ...string) *listing {
	l := &listing{platformOf: newPlatform(children...), grants: grants, life: time.Hour}
	l.recover = nil
	l.list = l.listed
	l.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, g := range l.grants {
			if g == ask.Grant {
				return token("by-"+string(g), l.life), nil
			}
		}
		return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
	})
	return l
}

func (l *listing) set(child string, grant secret.Text) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grants[child] = grant
}

func (l *listing) listed(offset, count int) (page fetchers.AuthorizerPage, err error) {
	time.Sleep(l.delay)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, offset)
	if l.page > 0 {
		count = l.page
	}
	page.Total = len(l.children) + l.lack
	for i := offset; i < min(offset+count, len(l.children)); i++ {
		page.Authorizers = append(page.Authorizers, fetchers.ListedAuthorizer{AppID: l.children[i], RefreshToken: l.grants[l.children[i]]})
	}
	for i := range min(l.skip, len(page.Authorizers)) {
		page.Skipped = append(page.Skipped, fmt.Errorf("in list[%d]: not read", i))
	}
	page.Authorizers = page.Authorizers[len(page.Skipped):]
	return page, l.err
}

// TestRememberedListNotFinal: a list that was read before a refusal says nothing of it.
func TestRememberedListNotFinal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListing(map[string]secret.Text{"wxa": "a1", "wxb": "b1"}, "wxa", "wxb")
		l.life = 15 * time.Second
		r := start(t, Config{Catalog: l.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "a0")
		r.mustPut(customer("wxb", "refresh_token"), "b0")
		if got := r.mustGet(customer("wxa", "access_token")); got != "by-a1" {
			t.Errorf("first customer: got %s", got)
		}
		if got := r.mustGet(customer("wxb", "access_token")); got != "by-b1" || len(l.asked) != 1 {
			t.Errorf("second customer: got %s after %d readings, want one reading for both", got, len(l.asked))
		}
		r.lists.of(platform).refused["wxc"] = refusedGrant{"given another since", 0}
		time.Sleep(20 * time.Second)
		l.set("wxb", "b2")
		_, err := r.get(customer("wxb", "access_token"))
		if of := mustReason(t, err, credential.Refused); of.RetryAfter <= 0 || of.RetryAfter > listFresh {
			t.Errorf("retry after %v, want when the list may be read again", of.RetryAfter)
		}
		time.Sleep(listFresh)
		synctest.Wait()
		if got := r.mustGet(customer("wxb", "access_token")); got != "by-b2" || len(l.asked) != 2 {
			t.Errorf("a minute later: got %s after %d readings", got, len(l.asked))
		}
		if n := len(r.lists.of(platform).refused); n != 0 {
			t.Errorf("refused grants remembered: %d", n)
		}
	})
}

// TestOldListOverwritesNothing: what a remembered list says may be what was in force before.
func TestOldListOverwritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListing(map[string]secret.Text{"wxa": "a1", "wxb": "b1"}, "wxa", "wxb")
		r := start(t, Config{Catalog: l.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "a0")
		r.mustPut(customer("wxb", "refresh_token"), "b1")
		r.mustGet(customer("wxa", "access_token"))
		time.Sleep(time.Second)
		r.mustPut(customer("wxb", "refresh_token"), "b2")
		_, err := r.get(customer("wxb", "access_token"))
		mustReason(t, err, credential.Refused)
		if g, _ := r.grants.get(customer("wxb", "refresh_token")); g.Value != "b2" {
			t.Errorf("in force: %q", string(g.Value))
		}
	})
}

// TestIncompleteListNotFinal: who is not in a list that is not whole may still be a
// customer.
func TestIncompleteListNotFinal(t *testing.T) {
	for _, tc := range []struct {
		name       string
		lack, skip int
		want       credential.Reason
	}{{"whole", 0, 0, credential.Reauth}, {"not whole", 1, 0, credential.Refused}, {"malformed entries", 0, 1, credential.Refused}} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newListing(map[string]secret.Text{"wxb": "b1"}, "wxa", "wxb")
				c := l.catalog()
				l.children, l.lack, l.skip = []string{"wxb"}, tc.lack, tc.skip
				r := start(t, Config{Catalog: c})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "a0")
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, tc.want)
				if n := len(l.asked); n > 1+idlePages {
					t.Errorf("pages: got %d", n)
				}
			})
		})
	}
}

// TestListReadWhole: short pages leave nobody out, and a page that shifts is no endless list.
func TestListReadWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		grants := map[string]secret.Text{}
		for i := range 1203 {
			children = append(children, fmt.Sprintf("wx%d", i))
			grants[children[i]] = secret.Text("new-" + children[i])
		}
		l := newListing(grants, children...)
		l.page = 300
		r := start(t, Config{Catalog: l.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range []string{"wx0", "wx299", "wx300", "wx1202"} {
			r.mustPut(customer(c, "refresh_token"), "old")
		}
		var wg sync.WaitGroup
		for _, c := range []string{"wx0", "wx299", "wx300", "wx1202"} {
			wg.Go(func() {
				if got, err := r.get(customer(c, "access_token")); got != "by-new-"+c {
					t.Errorf("%s: got %s, %v", c, got, err)
				}
			})
		}
		wg.Wait()
		if len(l.asked) != 5 {
			t.Errorf("pages: got %v", l.asked)
		}
	})
}

// TestListFailureRemembered: one failed page is the answer to all who look somebody up.
func TestListFailureRemembered(t *testing.T) {
	for name, err := range map[string]error{"quota": refusal(45009, fetchers.QuotaMinute), "unreachable": away()} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newListing(map[string]secret.Text{})
				for i := range 40 {
					l.children = append(l.children, fmt.Sprintf("wx%d", i))
				}
				l.err, l.delay = err, time.Second
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: l.catalog()})
				r.mustPush("ticket", time.Now())
				var wg sync.WaitGroup
				for _, c := range l.children {
					r.mustPut(customer(c, "refresh_token"), "old")
					wg.Go(func() {
						if _, err := r.get(customer(c, "access_token")); reason(err) == 0 || reason(err) == credential.Reauth {
							t.Errorf("%s: got %v", c, err)
						}
					})
				}
				wg.Wait()
				if len(l.asked) != 1 {
					t.Errorf("pages: got %d, want 1", len(l.asked))
				}
				_, again := r.Import(t.Context(), platform, 0)
				if of, ok := again.(*credential.Error); !ok || of.RetryAfter <= 0 || len(l.asked) != 1 {
					t.Errorf("import: got %v after %d pages", again, len(l.asked))
				}
				r.stop()
				r = start(t, Config{Store: d, Catalog: l.catalog()})
				if _, again = r.Import(t.Context(), platform, 0); again == nil || len(l.asked) != 1 {
					t.Errorf("import after a restart: got %v after %d pages", again, len(l.asked))
				}
				l.mu.Lock()
				l.err = nil
				l.mu.Unlock()
				time.Sleep(5 * time.Minute)
				if _, err := r.Import(t.Context(), platform, 0); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if d.has(record.Holds, platform+listings) {
					t.Error("the hold is still on disk")
				}
			})
		})
	}
}

// TestGrantGivenWhileListIsRead: what comes in that time is later than the list.
func TestGrantGivenWhileListIsRead(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(r *rig) error
		want string
	}{
		{"another grant", func(r *rig) error { return r.Put(r.t.Context(), customer("wxa", "refresh_token"), "a2") }, "by-a2"},
		{"a revocation", func(r *rig) error {
			return r.Revoke(r.t.Context(), customer("wxa", "refresh_token"), time.Now())
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newListing(map[string]secret.Text{"wxa": "a1", "wxb": "a2"}, "wxa")
				l.delay = 2 * time.Second
				r := start(t, Config{Catalog: l.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "a0")
				time.Sleep(time.Second)
				done := make(chan string)
				go func() { got, _ := r.get(customer("wxa", "access_token")); done <- got }()
				time.Sleep(time.Second)
				if err := tc.do(r); err != nil {
					t.Fatal(err)
				}
				<-done
				time.Sleep(5 * time.Second)
				got, err := r.get(customer("wxa", "access_token"))
				if got != tc.want || tc.want == "" && reason(err) != credential.Reauth {
					t.Errorf("got %q, %v", got, err)
				}
				if g, _ := r.grants.get(customer("wxa", "refresh_token")); g.Value == "a1" {
					t.Error("the list was put in force")
				}
			})
		})
	}
}

// TestListFinalForRefusalsBefore: one reading settles what was refused before it.
func TestListFinalForRefusalsBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListing(map[string]secret.Text{}, "wxa", "wxb")
		l.delay = time.Second
		r := start(t, Config{Catalog: l.catalog()})
		r.mustPush("ticket", time.Now())
		var wg sync.WaitGroup
		for _, c := range l.children {
			r.mustPut(customer(c, "refresh_token"), "old")
			wg.Go(func() {
				if _, err := r.get(customer(c, "access_token")); reason(err) != credential.Reauth {
					t.Errorf("%s: got %v", c, err)
				}
			})
		}
		wg.Wait()
		if len(l.asked) != 1 {
			t.Errorf("pages: got %d", len(l.asked))
		}
	})
}

// TestRevocationOutranksListReadBefore: a message that was sent while the list was read may come
// later.
func TestRevocationOutranksListReadBefore(t *testing.T) {
	for name, read := range map[string]func(r *rig) error{
		"recovery": func(r *rig) error {
			r.mustPut(customer("wxa", "refresh_token"), "a0")
			_, err := r.get(customer("wxa", "access_token"))
			return err
		},
		"import": func(r *rig) error { _, err := r.Import(r.t.Context(), platform, 0); return err },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newListing(map[string]secret.Text{"wxa": "a1"}, "wxa")
				l.delay = 4 * time.Second
				r := start(t, Config{Catalog: l.catalog()})
				r.mustPush("ticket", time.Now())
				began := time.Now()
				if err := read(r); err != nil {
					t.Fatal(err)
				}
				if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), began.Add(2*time.Second)); err != nil {
					t.Fatal(err)
				}
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, credential.Reauth)
			})
		})
	}
}

// TestListDuringRefusal: a list that was read while the refused call was in flight may be older
// than the refusal.
func TestListDuringRefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newListing(map[string]secret.Text{"wxa": "a1", "wxb": "b1"}, "wxa", "wxb")
		answer := l.token.answer
		l.token.answers(func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Grant == "b1" {
				time.Sleep(5 * time.Second)
			}
			return answer(ctx, ask, n)
		})
		r := start(t, Config{Catalog: l.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "a0")
		r.mustPut(customer("wxb", "refresh_token"), "b1")
		r.mustGet(component)
		refused := make(chan error)
		go func() { _, err := r.get(customer("wxb", "access_token")); refused <- err }()
		time.Sleep(time.Second)
		r.mustGet(customer("wxa", "access_token"))
		l.set("wxb", "b2")
		mustReason(t, <-refused, credential.Refused)
		time.Sleep(listFresh + time.Second)
		if got := r.mustGet(customer("wxb", "access_token")); got != "by-b2" || len(l.asked) != 2 {
			t.Errorf("got %s after %d readings", got, len(l.asked))
		}
	})
}

// TestDeadGrantsShareLists: of many grants that have died, each is given up after the second list
// at the latest.
func TestDeadGrantsShareLists(t *testing.T) {
	bubble(t, func(t *testing.T) {
		grants, children := map[string]secret.Text{}, make([]string, 30)
		for i := range children {
			children[i] = fmt.Sprint("wx", i)
			grants[children[i]] = secret.Text(fmt.Sprint("dead-", i))
		}
		l := newListing(grants, children...)
		l.delay = 20 * time.Second
		l.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(time.Second)
			return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
		})
		r := start(t, Config{Catalog: l.catalog(), Calls: 4}) // the refusals come one after another
		r.mustPush("ticket", time.Now())
		for _, child := range children {
			r.mustPut(customer(child, "refresh_token"), string(grants[child]))
		}
		var askers sync.WaitGroup
		for _, child := range children {
			askers.Go(func() { _, _ = r.get(customer(child, "access_token")) })
		}
		askers.Wait()
		time.Sleep(5 * time.Minute)
		for _, child := range children {
			_, err := r.get(customer(child, "access_token"))
			mustReason(t, err, credential.Reauth)
		}
		if len(l.asked) != 2 || len(r.lists.of(platform).refused) != 0 {
			t.Errorf("%d readings, %d refused grants remembered", len(l.asked), len(r.lists.of(platform).refused))
		}
	})
}
