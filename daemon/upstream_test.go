package daemon

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
)

// conduit is a reverse proxy in front of the site's WeChat. Its behavior depends on the number of a
// connection, counted from 1.
type conduit struct {
	*httptest.Server
	conns, requests atomic.Int32
	dead            atomic.Int32 // connections up to this number get no answer
	slow            atomic.Int64 // delay of an answer
}

func newConduit(t *testing.T, to string) *conduit {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := new(conduit)
	var mu sync.Mutex
	numbers := map[string]int32{} // by the peer's address
	pass := httputil.NewSingleHostReverseProxy(target)
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		mu.Lock()
		n := numbers[r.RemoteAddr]
		mu.Unlock()
		if n <= c.dead.Load() {
			<-r.Context().Done()
			return
		}
		time.Sleep(time.Duration(c.slow.Load()))
		pass.ServeHTTP(w, r)
	}))
	c.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			numbers[conn.RemoteAddr().String()] = c.conns.Add(1)
			mu.Unlock()
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// withUpstream returns a configuration of the accounts with other upstream hosts.
func (s *site) withUpstream(weixin []string, work string, timeout time.Duration, accounts string) *config.Config {
	s.t.Helper()
	file := s.config(accounts)
	file.Upstream = config.Upstream{WeixinURLs: weixin, WorkURL: work, Timeout: timeout}
	return file
}

// TestDeadKeptConnections checks that any number of dead idle connections costs one attempt. No
// reader gets an error and no backoff grows because of them.
func TestDeadKeptConnections(t *testing.T) {
	s := newSite(t)
	c := newConduit(t, s.url)
	const kept = 24
	var accounts strings.Builder
	name := func(i int) string { return fmt.Sprintf("work/ww%d/1/access_token", i) }
	for i := range kept + 2 {
		fmt.Fprintf(&accounts, "[[work]]\ncorp_id = \"ww%d\"\nagent_id = \"1\"\nsecret = \"s\"\n", i)
	}
	s.start(s.withUpstream([]string{s.url}, c.URL, 500*time.Millisecond, accounts.String()))
	c.slow.Store(int64(100 * time.Millisecond))
	var readers sync.WaitGroup
	for i := range kept {
		readers.Go(func() {
			if _, err := s.client.Get(t.Context(), name(i)); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	c.slow.Store(0)
	if n := c.conns.Load(); n != kept {
		t.Fatalf("%d connections, want %d", n, kept)
	}
	c.dead.Store(kept)
	before := c.requests.Load()
	for i := kept; i < kept+2; i++ {
		if _, err := s.client.Get(t.Context(), name(i)); err != nil {
			t.Errorf("%s: %v", name(i), err)
		}
		if got := s.status(name(i))["failures"]; got != "0" {
			t.Errorf("%s: %s failures", name(i), got)
		}
	}
	if n := c.requests.Load() - before; n != 3 {
		t.Errorf("%d requests for two values, want 3: one lost", n)
	}
}

// status returns the STATUS of name.
func (s *site) status(name string) map[string]string {
	s.t.Helper()
	pairs, err := s.client.Status(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range pairs {
		all[p.Key] = p.Value
	}
	return all
}

// TestNextHostInUse checks that an unreachable host causes no error for a reader, and that a quota
// counts calls to all hosts. Status, metrics and the page must show the host in use, also after a
// reload.
func TestNextHostInUse(t *testing.T) {
	s := newSite(t)
	second := newConduit(t, s.url)
	const token, ticket = "official_account/wxrotating/access_token", "official_account/wxoa/jsapi_ticket"
	accounts := accountsTOML + "\n[pages]\nlisten = \"127.0.0.1:0\"\n"
	closed := newConduit(t, s.url)
	closed.Close()
	file := s.withUpstream([]string{closed.URL, second.URL}, s.url, time.Second, accounts)
	d := s.start(file)
	host := func(u string) string { return strings.TrimPrefix(u, "http://") }
	if got := s.status(token)["host"]; got != host(closed.URL) {
		t.Errorf("host at first: got %s, want %s", got, host(closed.URL))
	}
	for _, name := range []string{token, ticket} {
		if _, err := s.client.Get(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		token: host(second.URL), ticket: host(second.URL), "work/wwcorp/1/access_token": host(s.url), "open_work/wwprovider/provider_access_token": host(s.url),
	} {
		if got := s.status(name)["host"]; got != want {
			t.Errorf("host of %s: got %s, want %s", name, got, want)
		}
	}
	if s.status(token)["failures"] != "0" {
		t.Error("the unreachable host counts as a failure")
	}
	base := "http://" + d.pages.addr().String()
	metrics, page := fetchPage(t, base, "/metrics", ""), fetchPage(t, base, "/", "en")
	for _, want := range []string{
		fmt.Sprintf(`tokend_upstream_host_in_use{api="weixin",host="%s"} 0`, host(closed.URL)),
		fmt.Sprintf(`tokend_upstream_host_in_use{api="weixin",host="%s"} 1`, host(second.URL)),
		fmt.Sprintf(`tokend_upstream_host_in_use{api="work",host="%s"} 1`, host(s.url)),
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if !strings.Contains(page, "<dt>hosts in use</dt><dd>"+host(second.URL)) || strings.Contains(page, host(closed.URL)) {
		t.Error("the page does not show the host in use")
	}
	if log := s.log.String(); strings.Count(log, "calls go to another WeChat host") != 1 || !strings.Contains(log, "to="+host(second.URL)) {
		t.Error("the change of host is not logged exactly once")
	}
	// The budget of /cgi-bin/token is 1900 calls a day. The attempt that reached no host counts.
	for _, q := range d.engine.Quotas() {
		if q.Account == "official_account/wxrotating" && q.Spent != 2 {
			t.Errorf("%d calls were counted, want 2", q.Spent)
		}
	}

	next := *file
	next.Upstream.WeixinURLs = []string{second.URL}
	if err := d.Reload(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
	if metrics := fetchPage(t, base, "/metrics", ""); strings.Contains(metrics, host(closed.URL)) {
		t.Error("a host that a reload took away is in the metrics")
	}
}

// TestKeyChange checks that pushes are accepted before and after a change of token and key, if the
// previous ones are configured.
func TestKeyChange(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	change := func(previous bool) {
		t.Helper()
		next := *file
		next.OpenPlatforms = append(next.OpenPlatforms[:0:0], next.OpenPlatforms...)
		p := &next.OpenPlatforms[0]
		p.Token, p.AESKey = "component-signs-2", catalogtest.AESKey2
		if previous {
			p.PreviousToken, p.PreviousAESKey = "component-signs", catalogtest.AESKey1
		}
		if err := d.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
	}
	push := func() error {
		p := s.wechat.TicketPush("wxcomponent")
		return d.inbox.Receive(t.Context(), "open_platform/wxcomponent", p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
	}
	change(false)
	if err := push(); err == nil {
		t.Error("previous secrets that are not configured are accepted")
	}
	change(true)
	if err := push(); err != nil {
		t.Errorf("before WeChat's change: %v", err)
	}
	s.wechat.AddPlatform("wxcomponent", "component-secret", "component-signs-2", catalogtest.AESKey1)
	if err := push(); err != nil {
		t.Errorf("after the change of the token: %v", err)
	}
	s.wechat.AddPlatform("wxcomponent", "component-secret", "component-signs-2", catalogtest.AESKey2)
	if err := push(); err != nil {
		t.Errorf("after the change of both: %v", err)
	}
	stats, err := s.client.Stats(t.Context())
	if err != nil || !slices.Contains(stats, clientlib.Pair{Key: "pushes_previous", Value: "2"}) {
		t.Errorf("pushes with the previous secrets: got %v, %v, want 2", stats, err)
	}
}
