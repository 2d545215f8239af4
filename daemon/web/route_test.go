package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
)

const signed = "?msg_signature=" + genuine + "&timestamp=1700000000&nonce=n"

// ask sends one request without a connection.
func ask(s *Server, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name, method, target, body string

		status int
		text   string // "" if it does not matter
		allow  string
	}{
		{"a push to a platform", "POST", "/callback/" + platform + signed, "<xml/>", 200, "success", ""},
		{"a push to a suite", "POST", "/callback/" + suite + signed, "<xml/>", 200, "success", ""},
		{"the platform's additional parameters", "POST", "/callback/" + platform + signed + "&signature=x&encrypt_type=aes", "<xml/>", 200, "success", ""},
		{"the other signature does not count", "POST", "/callback/" + platform + "?signature=" + genuine + "&timestamp=1700000000&nonce=n", "<xml/>", 403, "", ""},
		{"a wrong signature", "POST", "/callback/" + platform + "?msg_signature=x&timestamp=1700000000&nonce=n", "<xml/>", 403, "", ""},
		{"no query", "POST", "/callback/" + platform, "<xml/>", 403, "", ""},
		{"half an escape in the query", "POST", "/callback/" + platform + signed + "&x=%zz&%", "<xml/>", 200, "success", ""},
		{"semicolons in the query", "POST", "/callback/" + platform + signed + "&a;b=1;&;", "<xml/>", 200, "success", ""},
		{"parameters twice", "POST", "/callback/" + platform + signed + "&x=1&x=%&x", "<xml/>", 200, "success", ""},
		{"half an escape in the nonce", "POST", "/callback/" + platform + strings.Replace(signed, "nonce=n", "nonce=n%", 1), "<xml/>", 400, "", ""},
		{"a semicolon in the signature", "POST", "/callback/" + platform + strings.Replace(signed, "&timestamp", ";&timestamp", 1), "<xml/>", 400, "", ""},
		{"a malformed body", "POST", "/callback/" + platform + signed, "malformed", 400, "", ""},
		{"exactly 1 MiB", "POST", "/callback/" + platform + signed, strings.Repeat("x", 1<<20), 200, "success", ""},
		{"over 1 MiB", "POST", "/callback/" + platform + signed, strings.Repeat("x", 1<<20+1), 413, "", ""},
		{"an unknown owner", "POST", "/callback/" + stranger + signed, "<xml/>", 404, "", ""},
		{"no owner", "POST", "/callback/" + signed, "<xml/>", 404, "", ""},
		{"a slash at the end", "POST", "/callback/" + platform + "/" + signed, "<xml/>", 200, "success", ""},
		{"two slashes at the end", "POST", "/callback/" + platform + "//" + signed, "<xml/>", 404, "", ""},
		{"a slash behind an unknown owner", "POST", "/callback/" + stranger + "/" + signed, "<xml/>", 404, "", ""},
		{"a verification with a slash at the end", "GET", "/callback/" + suite + "/" + signed + "&echostr=abc", "", 200, "4611686018427387905", ""},
		{"a path to be cleaned", "POST", "/callback/x/../" + platform + signed, "<xml/>", 404, "", ""},
		{"a verification", "GET", "/callback/" + suite + signed + "&echostr=abc", "", 200, "4611686018427387905", ""},
		{"a verification wrongly signed", "GET", "/callback/" + suite + "?msg_signature=x", "", 403, "", ""},
		{"a verification with half an escape", "GET", "/callback/" + suite + signed + "&echostr=%2", "", 400, "", ""},
		{"a platform is not verified", "GET", "/callback/" + platform + signed, "", 405, "", "POST"},
		{"another method at a suite", "DELETE", "/callback/" + suite + signed, "", 405, "", "GET, POST"},
		{"HEAD is not a verification", "HEAD", "/callback/" + suite + signed + "&echostr=abc", "", 405, "", "GET, POST"},
		{"health", "GET", "/healthz", "", 200, "ok", ""},
		{"HEAD of health", "HEAD", "/healthz", "", 200, "", ""},
		{"POST to health", "POST", "/healthz", "", 405, "", "GET, HEAD"},
		{"readiness", "GET", "/readyz", "", 200, "ok", ""},
		{"POST to readiness", "POST", "/readyz", "", 405, "", "GET, HEAD"},
		{"the root", "GET", "/", "", 404, "", ""},
		{"an unknown path", "GET", "/metrics", "", 404, "", ""},
		{"a path below health", "GET", "/healthz/", "", 404, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inbox := new(fakeInbox)
			s, _ := newTestServer(t, Config{}, inbox)
			w := ask(s, test.method, test.target, test.body)
			if w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
			}
			if test.text != "" && w.Body.String() != test.text {
				t.Errorf("body %q, want %q", w.Body, test.text)
			}
			if got := w.Header().Get("Allow"); got != test.allow {
				t.Errorf("Allow %q, want %q", got, test.allow)
			}
			if got, want := w.Header().Get("Content-Type"), "text/plain; charset=utf-8"; got != want {
				t.Errorf("Content-Type %q, want %q", got, want)
			}
			acknowledged := w.Code == http.StatusOK && w.Body.String() == done
			if strings.Contains(w.Body.String(), done) && !acknowledged {
				t.Errorf("the rejection contains %q", w.Body)
			}
			if acknowledged != (inbox.kept() == 1) {
				t.Errorf("acknowledged: %v; pushes kept: %d", acknowledged, inbox.kept())
			}
		})
	}
}

// TestHealth: without an inbox there are no callback URLs, and Ready decides about /readyz only.
func TestHealth(t *testing.T) {
	s, _ := newTestServer(t, Config{Ready: func() bool { return false }}, nil)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/callback/" + suite: 404, "/callback/": 404} {
		if w := ask(s, "GET", path, ""); w.Code != want {
			t.Errorf("%s: got %d, want %d", path, w.Code, want)
		}
	}
	if w := ask(s, "GET", "/readyz", ""); w.Body.String() != "not ready" {
		t.Errorf("got %q", w.Body)
	}
}

func TestInboxErrorStatus(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		status int
	}{
		{"a removed owner", &credential.Error{Reason: credential.NotFound, Message: "gone"}, 404},
		{"a receiver", &credential.Error{Reason: credential.Denied, Message: "receiver"}, 403},
		{"malformed", &credential.Error{Reason: credential.Unfit, Message: "malformed"}, 400},
		{"busy", &credential.Error{Reason: credential.Busy, Message: "busy"}, 503},
		{"stopping", &credential.Error{Reason: credential.Stopping, Message: "stopping"}, 503},
		{"disk full", errors.New("no space left: success"), 503},
		{"a context", context.DeadlineExceeded, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := newTestServer(t, Config{}, &fakeInbox{act: func(context.Context) error { return test.err }})
			w := ask(s, "POST", "/callback/"+platform+signed, "<xml/>")
			if w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
			}
			if strings.Contains(w.Body.String(), done) {
				t.Errorf("the rejection contains %q", w.Body)
			}
		})
	}
}

func TestEchoPlus(t *testing.T) {
	for _, sent := range []string{"a%2Bb%2F%3D", "a+b/=", "a%20b/="} {
		inbox := new(fakeInbox)
		s, _ := newTestServer(t, Config{}, inbox)
		ask(s, "GET", "/callback/"+suite+signed+"&echostr="+sent, "")
		if len(inbox.echoes) != 1 || inbox.echoes[0] != "a+b/=" {
			t.Errorf("echostr %q arrived as %q, want %q", sent, inbox.echoes, "a+b/=")
		}
	}
}

func TestInboxHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		// act ignores its context.
		inbox := &fakeInbox{act: func(context.Context) error { <-release; return nil }}
		s, _ := newTestServer(t, Config{}, inbox)
		for n := range 2 * maxAttempts { // more than there are slots
			start := time.Now()
			w := ask(s, "POST", "/callback/"+platform+signed, "<xml/>")
			if took := time.Since(start); took >= time.Second {
				t.Fatalf("push %d was answered after %v", n, took)
			}
			if w.Code != http.StatusServiceUnavailable {
				t.Fatalf("push %d: status %d, want 503", n, w.Code)
			}
		}
		synctest.Wait()
		if n := len(s.attempts); n != maxAttempts {
			t.Errorf("%d active calls of the inbox, want %d", n, maxAttempts)
		}
		close(release)
		s.work.Wait()
		if w := ask(s, "POST", "/callback/"+platform+signed, "<xml/>"); w.Code != http.StatusOK {
			t.Errorf("afterwards: status %d, want 200", w.Code)
		}
	})
}

func TestInboxPanics(t *testing.T) {
	s, out := newTestServer(t, Config{}, &fakeInbox{act: func(context.Context) error { panic("ticket@@@canary") }})
	w := ask(s, "POST", "/callback/"+platform+signed, "<xml/>")
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", w.Code)
	}
	if text := out.String(); strings.Contains(text, "canary") || !strings.Contains(text, "internal error") {
		t.Error("the log contains the panic's value, or nothing")
	}
}

func TestLargeBodiesBounded(t *testing.T) {
	hold, holding := make(chan struct{}), make(chan struct{}, maxLarge)
	inbox := &fakeInbox{act: func(context.Context) error { holding <- struct{}{}; <-hold; return nil }}
	s, _ := newTestServer(t, Config{answerTimeout: time.Minute}, inbox)
	large := strings.Repeat("x", smallBody+1)
	answers := make(chan int, maxLarge)
	for range maxLarge {
		go func() { answers <- ask(s, "POST", "/callback/"+platform+signed, large).Code }()
		<-holding
	}
	if code := ask(s, "POST", "/callback/"+platform+signed, large).Code; code != http.StatusServiceUnavailable {
		t.Errorf("one large body more: status %d, want 503", code)
	}
	go func() { answers <- ask(s, "POST", "/callback/"+platform+signed, large[:smallBody]).Code }()
	<-holding // a small body needs no slot
	close(hold)
	for range maxLarge + 1 {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("status %d, want 200", code)
		}
	}
	inbox.act = nil
	if code := ask(s, "POST", "/callback/"+platform+signed, large).Code; code != http.StatusOK {
		t.Errorf("a large body afterwards: status %d, want 200", code)
	}
}

func TestRefusalLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := newTestServer(t, Config{}, new(fakeInbox))
		for range 1000 {
			ask(s, "POST", "/callback/"+platform+"?msg_signature=canary1&echostr=canary2", "canary3")
		}
		ask(s, "POST", "/callback/can%0Aary/x", "")
		if n := strings.Count(out.String(), "HTTP request rejected"); n != 2 {
			t.Errorf("%d lines, want one for each status\n%s", n, out)
		}
		time.Sleep(reportEvery)
		ask(s, "POST", "/callback/"+platform, "")
		if !strings.Contains(out.String(), "unreported=999") {
			t.Errorf("the log lacks the number of omitted rejections\n%s", out)
		}
		if text := out.String(); strings.Contains(text, "canary") || strings.Contains(text, "ary") {
			t.Errorf("the log contains a stranger's text\n%s", text)
		}
	})
}
