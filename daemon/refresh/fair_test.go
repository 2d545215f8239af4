package refresh

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// forever is the latency of an owner whose calls hang.
const forever = 1000 * time.Hour

// site is a WeChat with several owners. It answers the calls for each owner after that owner's
// latency, and counts the calls in flight and the values that expired before their refresh.
type site struct {
	disk *disk
	all  []Spec

	mu      sync.Mutex
	down    bool                     // no call is answered
	latency map[string]time.Duration // by owner; 0 for 100 ms
	failing map[string]bool          // owners whose calls fail
	flying  map[string]int           // calls in flight, by owner; "" for all
	most    map[string]int           // the highest of each
	ends    map[string]time.Time     // of the last value, by name
	expired map[string]bool          // names whose value expired before its refresh
}

func newSite() *site {
	return &site{disk: newDisk(), latency: map[string]time.Duration{}, failing: map[string]bool{}, flying: map[string]int{}, most: map[string]int{},
		ends: map[string]time.Time{}, expired: map[string]bool{}}
}

// has adds the credential s, whose stored value expires after left; 0 for no value.
func (w *site) has(t *testing.T, s Spec, left time.Duration) string {
	t.Helper()
	if s.Fetcher == nil {
		s.Fetcher = siteFetcher{w, s.Name}
	}
	w.all = append(w.all, s)
	if left == 0 {
		return s.Name
	}
	now, life := time.Now(), max(2*time.Hour, left)
	issued := record.Moment{Wall: now.Add(left - life), Since: day + left - life}
	r := record.Credential{Name: s.Name, Value: secret.Text("old " + s.Name), Issued: issued, Seen: issued,
		End: record.Moment{Wall: now.Add(left), Since: day + left}, Life: life}.Encode()
	if err := w.disk.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.ends[s.Name] = now.Add(left)
	return s.Name
}

// platform adds a platform and n customers, whose values have from least to most left; 0 for none.
func (w *site) platform(t *testing.T, owner string, n int, least, most time.Duration) (names []string) {
	t.Helper()
	parent, own, customers := "component_access_token", policy.ComponentToken, policy.AuthorizerToken
	if owner[:len("open_work")] == "open_work" {
		parent, own, customers = "suite_access_token", policy.SuiteToken, policy.AuthCorpToken
	}
	parent = w.has(t, Spec{Name: owner + "/" + parent, Policy: own}, day)
	w.has(t, Spec{Name: owner + "/pre_auth_code", Policy: policy.PreAuthCode, Parent: parent}, 0)
	w.has(t, Spec{Name: owner + "/*", Fetcher: way{
		Parent: parent,
		Grant:  func(c string) string { return owner + "/" + c + "/refresh_token" },
		Token:  func(c string) string { return owner + "/" + c + "/access_token" },
		Exchanger: exchangeFunc(func(ctx context.Context, _, code secret.Text) (fetchers.Authorization, error) {
			err := w.call(ctx, owner)
			return fetchers.Authorization{Child: string(code), Grant: "grant"}, err
		}),
		Lister: sitePages{w, owner},
	}}, 0)
	for i := range n {
		left := least + (most-least)*time.Duration(i)/time.Duration(n)
		child := fmt.Sprintf("wx%d", i)
		names = append(names, w.has(t, Spec{Name: owner + "/" + child + "/access_token", Policy: customers, Parent: parent}, left))
	}
	for _, c := range []string{"new1", "new2"} {
		w.has(t, Spec{Name: owner + "/" + c + "/refresh_token", Policy: policy.RefreshToken, Fetcher: way{}}, 0)
		w.has(t, Spec{Name: owner + "/" + c + "/access_token", Policy: customers, Parent: parent}, 0)
	}
	return names
}

// start runs an engine over the site. Readers want all that is stored.
func (w *site) start(t *testing.T) *Engine {
	t.Helper()
	e, err := New(Config{Hosts: bothHosts, Store: w.disk, Catalog: specs(w.all...)})
	if err != nil {
		t.Fatal(err)
	}
	for name := range w.ends {
		e.Cached([]byte(name), e.Now())
	}
	(&busyPlatform{Engine: e}).run(t)
	return e
}

// answer sets the latency of owner.
func (w *site) answer(owner string, latency time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latency[owner] = latency
}

// fail lets the calls of owner fail from now on.
func (w *site) fail(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[owner] = true
}

// call makes a call for owner.
func (w *site) call(ctx context.Context, owner string) error {
	w.mu.Lock()
	latency := w.latency[owner]
	if latency == 0 {
		latency = 100 * time.Millisecond
	}
	for _, o := range []string{owner, ""} {
		w.flying[o]++
		w.most[o] = max(w.most[o], w.flying[o])
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.flying[owner]--
		w.flying[""]--
	}()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return &fetchers.TransportError{Endpoint: "/", Sent: true, Err: ctx.Err()}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || w.failing[owner] {
		return away()
	}
	return nil
}

type siteFetcher struct {
	site *site
	name string
}

func (f siteFetcher) Fetch(ctx context.Context, _ fetchers.Ask) (fetchers.Token, error) {
	w := f.site
	if err := w.call(ctx, credential.OwnerOf(f.name)); err != nil {
		return fetchers.Token{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if end, ok := w.ends[f.name]; ok && now.After(end) {
		w.expired[f.name] = true
	}
	w.ends[f.name] = now.Add(2 * time.Hour)
	return token(fmt.Sprint("new ", now.UnixNano()), 2*time.Hour), nil
}

type sitePages struct {
	site  *site
	owner string
}

func (p sitePages) Page(ctx context.Context, _ secret.Text, _, _ int) (fetchers.AuthorizerPage, error) {
	return fetchers.AuthorizerPage{}, p.site.call(ctx, p.owner)
}

// late returns how many of names have expired, refreshed since or not.
func (w *site) late(names []string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		if w.expired[name] || time.Now().After(w.ends[name]) {
			n++
		}
	}
	return n
}

// mustNotExpire fails if credentials of another platform or of accounts have expired.
func (w *site) mustNotExpire(t *testing.T, platform, accounts []string) {
	t.Helper()
	p, a := w.late(platform), w.late(accounts)
	t.Logf("%d of %d of another platform expired, %d of %d accounts", p, len(platform), a, len(accounts))
	if p+a > 0 {
		t.Error("an owner's credentials expired because another owner's calls hang")
	}
}

// atOnce returns the highest numbers of calls in flight since the last look.
func (w *site) atOnce() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := maps.Clone(w.most)
	clear(w.most)
	maps.Copy(w.most, w.flying)
	return most
}

// mustShare fails if too many calls were in flight since the last look: for all, or for one owner.
func (w *site) mustShare(t *testing.T) {
	t.Helper()
	const calls = 32 // Config.Calls
	for owner, n := range w.atOnce() {
		switch {
		case owner == "" && n > calls:
			t.Errorf("%d calls in flight, want %d at most", n, calls)
		case owner != "" && n > calls/2:
			t.Errorf("%d calls in flight for %s, want %d at most", n, owner, calls/2)
		}
	}
}
