package daemon

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
	"tokend/fetchers/wechattest"
	"tokend/protocol"
)

// fetchPage returns a page of a running daemon. It retries 503, which a busy machine can cause.
func fetchPage(t *testing.T, base, path, language string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", language)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch {
		case err == nil && resp.StatusCode == http.StatusOK:
			return string(body)
		case err != nil || resp.StatusCode != http.StatusServiceUnavailable || time.Now().After(deadline):
			t.Fatalf("%s: %d %v %.200s", path, resp.StatusCode, err, body)
		}
	}
}

// fetchUnseen returns the reply to a forwarded request, which must be 403.
func fetchUnseen(t *testing.T, base, language string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Language", language)
	r.Header.Set("X-Forwarded-For", "127.0.0.1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// firstEvent returns the first event of the status page.
func firstEvent(t *testing.T, base string) string {
	t.Helper()
	resp, err := http.Get(base + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("got %.40q, %v", line, err)
	}
	return line
}

// TestPages checks the metrics and the status page of a real daemon, in both languages. They count
// customers and do not name them. They contain no secret, token, ticket or grant, in clear or
// encoded.
func TestPages(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	http := "http://" + d.pages.addr().String()
	s.pushTicket("wxcomponent")
	canaries := []string{"component-secret", "component-signs", "provider-secret", "suite1-secret", "suite1-signs", "template-secret", catalogtest.AESKey1, catalogtest.AESKey2, catalogtest.AESKey3}
	canaries = append(canaries, s.get("open_platform/wxcomponent/component_verify_ticket"), s.get("open_platform/wxcomponent/component_access_token"),
		s.get("open_work/wwprovider/provider_access_token"))
	const customers = 20
	for i := range customers {
		child := fmt.Sprintf("wxcustomer%d", i)
		s.wechat.Authorize("wxcomponent", child)
		s.wechat.Flush(t.Context())
		name := "open_platform/wxcomponent/" + child + "/access_token"
		s.eventually(name, func() bool { _, err := s.client.Get(t.Context(), name); return err == nil })
		canaries = append(canaries, s.get(name), s.wechat.CurrentGrant("wxcomponent", child))
	}
	clear := s.wechat.Inject(wechattest.Fault{Endpoint: "/cgi-bin/service/get_suite_token", Code: 60020, Msg: "not allow to access from your ip"})
	defer clear()
	s.pushTicket("wwsuite1")
	if _, err := s.client.Get(t.Context(), "open_work/wwsuite1/suite_access_token"); err == nil {
		t.Fatal("the fault did not occur")
	}

	scrape := fetchPage(t, http, "/metrics", "")
	for _, want := range []string{
		`tokend_build_info{goversion="go[^"]+",version="test"} 1`,
		`tokend_credential_state{kind="component_token",name="open_platform/wxcomponent/component_access_token",state="fresh"} 1`,
		`tokend_credential_expiry_timestamp_seconds{kind="provider_token",name="open_work/wwprovider/provider_access_token"} 1[0-9]{9}(\.[0-9]{3})?`,
		`tokend_credential_failures{errcode="60020",kind="suite_token",name="open_work/wwsuite1/suite_access_token"} 1`,
		fmt.Sprintf(`tokend_customer_credentials{kind="authorizer_token",platform="open_platform/wxcomponent",state="fresh"} %d`, customers),
		`tokend_holds{action="yes",errcode="60020",kind="suite_token",reason="upstream"} 1`,
		`tokend_upstream_refusals_total{endpoint="/cgi-bin/service/get_suite_token",errcode="60020"} 1`,
		`tokend_upstream_call_duration_seconds_count{endpoint="/cgi-bin/service/get_suite_token"} 1`,
		`tokend_pushes_total{kind="component_verify_ticket"} 1`,
		`tokend_budget_limit{account="",budget="erroneous calls"} 1500`,
		`tokend_budget_spent{account="",budget="erroneous calls"} 1`,
		`tokend_requests_total{outcome="ok",verb="GET"} [1-9][0-9]*`,
		`tokend_request_errors_total{code="UPSTREAM",verb="GET"} 1`,
		`tokend_store_refusing 0`,
		`tokend_store_writes_total [1-9][0-9]*`,
		`process_start_time_seconds .*`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(scrape) {
			t.Errorf("missing: %s", want)
		}
	}
	english, chinese := fetchPage(t, http, "/", "en"), fetchPage(t, http, "/status", "zh-CN")
	for _, text := range []string{"suite_access_token", "errcode=60020", "wxcomponent", "component_access_token"} {
		if !strings.Contains(english, text) || !strings.Contains(chinese, text) {
			t.Errorf("a page has no %s", text)
		}
	}
	if !strings.Contains(english, "Needs attention") || !strings.Contains(chinese, "需要处理") {
		t.Error("a page is not in its language")
	}
	for language, want := range map[string]string{"en": "The log has the reason", "zh-CN": "处理办法见日志"} {
		if text := fetchUnseen(t, http, language); !strings.HasPrefix(text, "Forbidden\n") || !strings.Contains(text, want) || strings.Contains(text, "tokend") {
			t.Errorf("a forwarded request got %q", text)
		}
	}
	if strings.Contains(scrape, "not allow to access") {
		t.Error("the metrics show WeChat's errmsg")
	}
	all := map[string]string{"the metrics": scrape, "the page": english, "the Chinese page": chinese, "the events": firstEvent(t, http)}
	for _, name := range []string{"open_platform/wxcomponent/component_verify_ticket", "open_platform/wxcomponent/component_access_token", "open_work/wwprovider/provider_access_token", "open_work/wwsuite1/suite_access_token"} {
		all["the page of "+name] = fetchPage(t, http, "/credential?q="+name, "en")
		if !strings.Contains(all["the page of "+name], `class="name">`+name) {
			t.Errorf("%s has no page", name)
		}
	}
	if !strings.Contains(all["the events"], "suite_access_token") {
		t.Errorf("the first event lacks a credential: %.200s", all["the events"])
	}
	for name, text := range all {
		if strings.Contains(text, "wxcustomer") {
			t.Errorf("%s names a customer", name)
		}
		for _, c := range canaries {
			for _, form := range []string{c, hex.EncodeToString([]byte(c)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c)), "=")} {
				if c == "" || strings.Contains(text, form) {
					t.Errorf("%s shows a secret of %d bytes", name, len(c))
				}
			}
		}
	}
}

// TestScrapesDuringReloads checks that pages show one configuration or the other while reloads add
// and remove accounts.
func TestScrapesDuringReloads(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	base := "http://" + d.pages.addr().String()
	more := s.config(fmt.Sprintf(platformsTOML, freePort(t)) + accountsTOML[:strings.Index(accountsTOML, "[[open_work]]")])
	more.HTTP, more.Pages = file.HTTP, file.Pages
	more.Upstream = file.Upstream
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, path := range []string{"/metrics", "/metrics", "/"} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := http.Get(base + path)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				// A busy machine can cause 503.
				if err != nil || resp.StatusCode != 200 && resp.StatusCode != 503 {
					t.Errorf("%s: %d, %v: %.200s", path, resp.StatusCode, err, body)
					return
				}
			}
		})
	}
	for i := range 20 {
		next := file
		if i%2 == 0 {
			next = more
		}
		if err := d.Reload(t.Context(), next); err != nil {
			t.Error(err)
		}
		_, _ = s.client.Get(t.Context(), "official_account/wxoa/access_token")
	}
	close(stop)
	readers.Wait()
}

// TestCensusReused checks that surveys in quick succession share one census.
func TestCensusReused(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	v := &surveyor{Daemon: d.Daemon}
	v.look()
	first := v.counted
	v.took = time.Hour // as with very many customers
	v.look()
	if v.counted != first {
		t.Error("a census that took an hour was not reused within the hour")
	}
	v.took = 0
	v.look()
	if v.counted == first {
		t.Error("an old census was reused")
	}
	for took, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, 30 * time.Millisecond: 30 * time.Second, 200 * time.Millisecond: 30 * time.Second, time.Second: 100 * time.Second,
	} {
		if got := censusPause(took); got != want {
			t.Errorf("a census that took %v is reused for %v, want %v", took, got, want)
		}
	}
}

// TestPlainKind checks that a push's kind becomes a label only if it looks like WeChat's words.
func TestPlainKind(t *testing.T) {
	for kind, want := range map[string]string{
		"component_verify_ticket": "component_verify_ticket", "-": "-", "": "other", "\xff": "other", "a b": "other", "授权": "other", strings.Repeat("x", 65): "other",
	} {
		if got := plainKind(kind); got != want {
			t.Errorf("%.20q: got %q, want %q", kind, got, want)
		}
	}
}

// TestMaySeePages checks that a user may see the pages if the user can connect to the socket,
// through all directories above it, and the current rules, if any, grant LIST, STATUS and STATS on
// every name. Such a user need not have a right to read a value.
func TestMaySeePages(t *testing.T) {
	const known, other = 4_000_000_001, 4_000_000_002 // users without groups
	s, file := newPlatformSite(t)
	rules := func(names ...string) []config.Access {
		return []config.Access{{UIDs: []uint32{known}, Names: names, Verbs: []string{"LIST", "STATUS", "STATS"}}}
	}
	d := s.start(file)
	reloaded := func(access []config.Access) {
		t.Helper()
		next := *file
		next.Access = access
		if err := d.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name         string
		dir, mode    os.FileMode
		access       []config.Access
		known, other bool
	}{
		{"a socket of some, no rules", 0o755, 0o660, nil, false, false},
		{"a socket of all, no rules", 0o755, 0o666, nil, true, true},
		{"a socket of all in a private directory, no rules", 0o700, 0o666, nil, false, false},
		{"a socket of all, a rule for one", 0o755, 0o666, rules("*"), true, false},
		{"a socket of some, a rule for one who is not among them", 0o755, 0o660, rules("*"), false, false},
		{"a rule for some names", 0o755, 0o666, rules("open_platform/*", "open_work/*"), false, false},
	} {
		if err := os.Chmod(s.dir, test.dir); err != nil {
			t.Fatal(err)
		}
		reloaded(test.access)
		if err := os.Chmod(file.Socket, test.mode); err != nil {
			t.Fatal(err)
		}
		if got := d.maySeePages(access.PeerOf(known)); got != test.known {
			t.Errorf("%s: known user: got %v, want %v", test.name, got, test.known)
		}
		if got := d.maySeePages(access.PeerOf(other)); got != test.other {
			t.Errorf("%s: other user: got %v, want %v", test.name, got, test.other)
		}
		if !d.maySeePages(access.Peer{}) || !d.maySeePages(access.Peer{UID: uint32(os.Geteuid())}) {
			t.Errorf("%s: root or the daemon's own user sees nothing", test.name)
		}
		granted, _ := d.server.RightsOf(access.PeerOf(known)).May(protocol.VerbGet, []byte("open_work/wwprovider/provider_access_token"))
		if test.access != nil && granted {
			t.Errorf("%s: a user with the rights for the pages may read values", test.name)
		}
	}
}
