package wechattest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// consumer is the receiver of a callback. It records pushes, and answers as configured.
type consumer struct {
	answer func(w http.ResponseWriter, r *http.Request) // nil: success

	mu   sync.Mutex
	got  []string // the nonces
	urls []string // the paths
	at   []time.Time
}

func (c *consumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.got = append(c.got, r.URL.Query().Get("nonce"))
	c.urls = append(c.urls, r.URL.Path)
	c.at = append(c.at, time.Now())
	c.mu.Unlock()
	if c.answer != nil {
		c.answer(w, r)
		return
	}
	_, _ = io.WriteString(w, "success")
}

// count returns the number of pushes to a path.
func (c *consumer) count(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, p := range c.urls {
		if p == path {
			n++
		}
	}
	return n
}

// pushed runs f in virtual time with the callbacks of two owners at a consumer.
func pushed(t *testing.T, s Settings, answer http.HandlerFunc, f func(c caller, to *consumer)) {
	synctest.Test(t, func(t *testing.T) {
		to := &consumer{answer: answer}
		s.PushTransport = HandlerTransport(to)
		c := newCaller(t, s)
		c.SetCallback("wxplatform", "http://callback.test/wxplatform")
		c.SetCallback("wwsuite", "http://callback.test/wwsuite")
		f(c, to)
	})
}

// slow answers success after d, or when the sender has gone.
func slow(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if wait(r.Context(), d) {
			_, _ = io.WriteString(w, "success")
		}
	}
}

func TestPushAnswers(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	ticket, event := Event{Kind: "suite_ticket"}, Event{Kind: "cancel_auth", Child: "wwA"}
	tests := []struct {
		name   string
		owner  string
		event  Event
		answer http.HandlerFunc
		ok     bool
		tries  int
		took   time.Duration // of the last attempt
		status int
		body   string
	}{
		{"success", "wxplatform", event, nil, true, 1, 0, 200, "success"},
		{"with a newline", "wxplatform", event, text("success\n"), false, 1, 0, 200, "success\n"},
		{"nothing", "wwsuite", event, text(""), false, 1, 0, 200, ""},
		{"forbidden", "wxplatform", event, status(403), false, 1, 0, 403, ""},
		{"forbidden", "wwsuite", event, status(403), false, 3, 0, 403, ""},
		{"in a second", "wxplatform", event, slow(4 * time.Second), true, 1, 4 * time.Second, 200, "success"},
		{"too slow", "wxplatform", event, slow(6 * time.Second), false, 1, 5 * time.Second, 0, ""},
		{"a ticket in time", "wwsuite", ticket, slow(4 * time.Second), true, 1, 4 * time.Second, 200, "success"},
		{"a ticket too slow", "wwsuite", ticket, slow(6 * time.Second), false, 3, 5 * time.Second, 0, ""},
		{"an event in time", "wwsuite", event, slow(900 * time.Millisecond), true, 1, 900 * time.Millisecond, 200, "success"},
		{"an event too slow", "wwsuite", event, slow(1100 * time.Millisecond), false, 3, time.Second, 0, ""},
		{"cut", "wwsuite", event, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, 3, 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.owner+" "+tt.name, func(t *testing.T) {
			pushed(t, Settings{}, tt.answer, func(c caller, to *consumer) {
				d := c.Send(c.t.Context(), tt.owner, c.EventPush(tt.owner, tt.event))
				if (d.Err == nil) != tt.ok || d.Try != tt.tries || d.Took != tt.took || d.Status != tt.status || d.Body != tt.body {
					t.Errorf("got %+v\nwant ok %v, %d tries, %v, HTTP %d %q", d, tt.ok, tt.tries, tt.took, tt.status, tt.body)
				}
				all := c.Deliveries()
				if len(all) != tt.tries || all[len(all)-1] != d || d.Owner != tt.owner || d.Kind != tt.event.Kind {
					t.Errorf("deliveries: got %+v", all)
				}
				if len(slices.Compact(slices.Clone(to.got))) != 1 || len(to.got) != tt.tries {
					t.Errorf("the tries are not the same push: nonces %v", to.got)
				}
			})
		})
	}
}

func TestDeliveryErrors(t *testing.T) {
	pushed(t, Settings{PushTries: 2}, slow(time.Hour), func(c caller, _ *consumer) {
		if d := c.Send(c.t.Context(), "wxplatform", c.TicketPush("wxplatform")); !errors.Is(d.Err, context.DeadlineExceeded) || d.Try != 2 {
			t.Errorf("got %+v", d)
		}
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		if d := c.Send(ctx, "wwsuite", c.TicketPush("wwsuite")); d.Err == nil || d.Try != 1 || d.Took != time.Second {
			t.Errorf("a canceled sender: got %+v", d)
		}
	})
	pushed(t, Settings{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(c caller, _ *consumer) {
		if d := c.Send(c.t.Context(), "wxplatform", c.TicketPush("wxplatform")); !errors.Is(d.Err, syscall.ECONNRESET) {
			t.Errorf("got %+v", d)
		}
	})
}

func TestVerifyCallback(t *testing.T) {
	echo := func(change func(string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			msg, _ := open(t, testKeyB, r.URL.Query().Get("echostr"))
			_, _ = io.WriteString(w, change(msg))
		}
	}
	same := func(s string) string { return s }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		ok     bool
	}{
		"the echo": {echo(same), true},
		"quoted":   {echo(func(s string) string { return `"` + s + `"` }), false},
		"refused":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, false},
		"slow":     {slow(2 * time.Second), false},
	} {
		pushed(t, Settings{}, tt.answer, func(c caller, _ *consumer) {
			if err := c.VerifyCallback(c.t.Context(), "wwsuite"); (err == nil) != tt.ok {
				t.Errorf("%s: got %v", name, err)
			}
		})
	}
}

func TestPushOverSocket(t *testing.T) {
	to := &consumer{}
	s := httptest.NewServer(to)
	defer s.Close()
	var shown []Delivery
	c := newCaller(t, Settings{OnPush: func(d Delivery) { shown = append(shown, d) }})
	c.SetCallback("wxplatform", s.URL+"/wxplatform")
	p := c.TicketPush("wxplatform")
	if d := c.Send(t.Context(), "wxplatform", p); d.Err != nil || len(shown) != 1 || shown[0] != d || to.got[0] != p.Nonce {
		t.Errorf("got %+v, shown %+v", d, shown)
	}
	c.SetCallback("wxplatform", "http://127.0.0.1:1/")
	if d := c.Send(t.Context(), "wxplatform", p); !errors.Is(d.Err, syscall.ECONNREFUSED) || strings.Contains(d.Err.Error(), p.Nonce) {
		t.Errorf("got %+v", d)
	}
}

func TestHandlerTransport(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Kept", "yes")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "yes")
		w.WriteHeader(http.StatusOK) // too late
		_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.RequestURI+" "+r.URL.String()+" "+string(b))
	})
	client := &http.Client{Transport: HandlerTransport(h)}
	resp, err := client.Post("http://callback.test/a?b=c", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if got, want := string(b), "POST callback.test /a?b=c /a?b=c body"; got != want || resp.StatusCode != http.StatusTeapot ||
		resp.Header.Get("X-Kept") != "yes" || resp.Header.Get("X-Late") != "" {
		t.Errorf("got %s %v %q, want %q", resp.Status, resp.Header, got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://callback.test/", nil)
	if _, err := client.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
