package sandbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/fetchers/wechattest"
)

// web is a program that receives pushes instead of tokend.
type web struct {
	*httptest.Server
	mu     sync.Mutex
	answer string
	came   []string // paths
}

func newWeb(t *testing.T) *web {
	t.Helper()
	p := &web{answer: "success"}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.came = append(p.came, r.URL.Path)
		_, _ = io.WriteString(w, p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *web) address() string { return strings.TrimPrefix(p.URL, "http://") }

func (p *web) answers(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = text
}

func (p *web) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.came {
		if c == path {
			n++
		}
	}
	return n
}

func post(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSuffix(string(b), "\n")
}

// wait waits until the output contains text n times.
func (s *screen) wait(t *testing.T, text string, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); strings.Count(s.String(), text) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not shown %d times:\n%s", text, n, s.String())
		}
	}
}

// TestCustomersAuthorizeAtStart holds that each owner gets a ticket and then the authorization of
// its customer.
func TestCustomersAuthorizeAtStart(t *testing.T) {
	p := newWeb(t)
	var out screen
	s, stop := start(t, Config{Out: &out, Callback: p.address()})
	out.wait(t, "push of authorized ", 1)
	out.wait(t, "push of create_auth ", 2)
	stop()
	for _, o := range Owners() {
		if n := p.count("/callback/" + o.Path()); n != 2 {
			t.Errorf("pushes to %s: got %d, want a ticket and an authorization", o.ID, n)
		}
		if s.wechat.CurrentGrant(o.ID, o.Customer) == "" {
			t.Errorf("%s has no customer", o.ID)
		}
	}
	if !regexp.MustCompile(`(?m)^pushes in all +6$`).MatchString(out.String()) {
		t.Errorf("missing summary of pushes:\n%s", out.String())
	}
}

// TestControls causes every event.
func TestControls(t *testing.T) {
	p := newWeb(t)
	var out screen
	s, stop := start(t, Config{Out: &out, Callback: p.address()})
	out.wait(t, "push of create_auth ", 2)
	base := s.URL + controls
	const customer = "?owner=wxsandboxplatform&child=wxanother"

	code, grant := "", ""
	for _, c := range []struct {
		request string
		status  int
		kind    string // of the push that it causes, or empty
		answer  *string
	}{
		{"authorize" + customer, 200, "authorized", &code},
		{"update" + customer, 200, "updateauthorized", nil},
		{"unauthorize" + customer, 200, "unauthorized", nil},
		{"unauthorize" + customer, 404, "", nil},
		{"add-customer?owner=wwsandboxsuite&child=wwold", 200, "", &grant},
		{"reset-permanent-code?owner=dksandboxtemplate&child=wwsandboxcustomer", 200, "reset_permanent_code", nil},
		{"push-ticket?owner=wwsandboxsuite", 200, "suite_ticket", nil},
		{"verify?owner=wwsandboxsuite", 502, "", nil}, // "success" is not the echo
		{"verify?owner=wxsandboxplatform", 404, "", nil},
		{"push-ticket?owner=nobody", 404, "", nil},
		{"push-ticket", 404, "", nil},
		{"authorize?owner=wxsandboxplatform", 400, "", nil},
		{"authorize?owner=wxsandboxplatform&child=a/b", 400, "", nil},
		{"nonsense", 404, "", nil},
	} {
		shown := strings.Count(out.String(), "push of "+c.kind+" ")
		status, answer := post(t, base+c.request)
		if status != c.status || status == 200 && answer == "" {
			t.Errorf("%s: got %d %q, want %d", c.request, status, answer, c.status)
		}
		if c.kind != "" {
			out.wait(t, "push of "+c.kind+" ", shown+1)
		}
		if c.answer != nil {
			*c.answer = answer
		}
	}
	if got := s.wechat.CurrentGrant("wwsandboxsuite", "wwold"); got == "" || got != grant {
		t.Error("add-customer did not answer the grant")
	}

	p.answers("no")
	if status, answer := post(t, base+"push-ticket?owner=wxsandboxplatform"); status != 502 || !strings.Contains(answer, "an answer other than success") {
		t.Errorf("got %d %q", status, answer)
	}
	if got := call(t, base+"unauthorize"+customer); got != "use POST\n" {
		t.Errorf("GET: got %q", got)
	}
	stop()
	for _, secret := range []string{code, grant} {
		if len(secret) < 20 || strings.Contains(out.String(), secret) {
			t.Errorf("a code or a grant (of %d bytes) is shown", len(secret))
		}
	}
}

// TestControlsAreShown holds that every control is listed with a working command.
func TestControlsAreShown(t *testing.T) {
	p := newWeb(t)
	var out screen
	s, _ := start(t, Config{Out: &out, Callback: p.address()})
	out.wait(t, "push of create_auth ", 2)
	token := fetch(t, s, wechattest.Token+"?grant_type=client_credential&appid=wxsandboxofficial&secret="+Accounts()[0].Secret, "access_token")
	help := call(t, s.URL+controls)
	for _, line := range s.Controls() {
		if !strings.Contains(help, line+"\n") {
			t.Errorf("not in the help: %s", line)
		}
	}
	if got, want := strings.Count(help, "\n"), len(allControls())+3; got != want {
		t.Errorf("lines: got %d, want %d", got, want)
	}
	for line := range strings.Lines(help) {
		_, rest, _ := strings.Cut(line, "'")
		url, _, ok := strings.Cut(rest, "'")
		if !ok {
			t.Fatalf("no URL in %s", line)
		}
		if !strings.HasPrefix(line, "curl -X POST ") {
			if answer := call(t, strings.Replace(url, "TOKEN", token, 1)); !strings.Contains(answer, `"errcode":0`) && !strings.HasPrefix(answer, "total ") {
				t.Errorf("%s: got %s", url, answer)
			}
			continue
		}
		status, answer := post(t, url)
		if status != 200 && !strings.Contains(url, "verify") { // this web server does not echo
			t.Errorf("%s: got %d %s", url, status, answer)
		}
	}
}

// TestTaken holds that no part of an answer is shown.
func TestTaken(t *testing.T) {
	p := newWeb(t)
	p.answers("canary\nforged")
	var out screen
	_, stop := start(t, Config{Out: &out, Callback: p.address()})
	out.wait(t, "an answer other than success", len(Owners()))
	stop()
	if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), "forged") {
		t.Errorf("an answer is shown:\n%s", out.String())
	}
	if got := taken(wechattest.Delivery{Status: 403, Err: io.EOF}); got != "HTTP 403" {
		t.Errorf("got %q", got)
	}
	if got := taken(wechattest.Delivery{Err: io.EOF}); got != "no answer" {
		t.Errorf("got %q", got)
	}
}
