package wechattest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// raw requests a token and returns the raw answer.
func (c caller) raw(ctx context.Context) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "https://wechat.test"+Token+"?grant_type=client_credential&appid=wx01&secret=secret-1", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.Transport().RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestFaultsOnTheWire(t *testing.T) {
	const whole = `{"access_token":"74_`
	tests := []struct {
		name   string
		fault  Fault
		status int
		begins string
		has    string
		issues bool
	}{
		{"none", Fault{}, 200, whole, `","expires_in":7200}`, true},
		{"busy", Fault{Code: -1}, 200, `{"errcode":-1,`, "system error rid: ", false},
		{"a word of its own", Fault{Code: 50001, Msg: "no"}, 200, `{"errcode":50001,"errmsg":"no rid: `, "", false},
		{"a gateway", Fault{Status: 502}, 502, "<html>", "502 Bad Gateway", false},
		{"expires_in missing", Fault{ExpiresIn: Omit}, 200, whole, `"}`, true},
		{"expires_in 0", Fault{ExpiresIn: "0"}, 200, whole, `,"expires_in":0}`, true},
		{"expires_in as a string", Fault{ExpiresIn: `"7200"`}, 200, whole, `,"expires_in":"7200"}`, true},
		{"expires_in 1e12", Fault{ExpiresIn: "1e12"}, 200, whole, `,"expires_in":1e12}`, true},
		{"no value", Fault{NoValue: true}, 200, `{"access_token":"",`, `"expires_in":7200}`, true},
		{"web page", Fault{Body: HTML}, 200, "<html>", "200 OK", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCaller(t, Settings{})
			c.Inject(tt.fault)
			status, body, err := c.raw(t.Context())
			if err != nil || status != tt.status || !strings.HasPrefix(body, tt.begins) || !strings.Contains(body, tt.has) {
				t.Errorf("got %d %s, %v\nwant %d %s ... %s", status, body, err, tt.status, tt.begins, tt.has)
			}
			if got := c.issued.n == 1; got != tt.issues {
				t.Errorf("a token was made: got %v, want %v", got, tt.issues)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	c := newCaller(t, Settings{})
	c.Inject(Fault{Body: Truncated, Times: 1})
	c.Inject(Fault{Body: Empty, Times: 1})
	c.Inject(Fault{Body: Huge, Times: 1})
	if _, body, err := c.raw(t.Context()); err != nil || len(body) != len(`{"access_token":"","expires_in":7200}`)/2+136/2 {
		t.Errorf("truncated: got %q, %v", body, err)
	}
	if _, body, err := c.raw(t.Context()); err != nil || body != "" {
		t.Errorf("empty: got %q, %v", body, err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://wechat.test"+Token+"?grant_type=client_credential&appid=wx01&secret=secret-1", nil)
	resp, err := c.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != HugeBody || err != nil {
		t.Errorf("huge: got %d bytes, %v", n, err)
	}
	if _, body, err := c.raw(t.Context()); err != nil || !strings.HasPrefix(body, `{"access_token":"74_`) {
		t.Errorf("after the faults: got %q, %v", body, err)
	}
}

func TestConnectionFaults(t *testing.T) {
	tests := []struct {
		name   string
		fault  Fault
		want   error
		took   time.Duration
		issues bool
	}{
		{"cut", Fault{Cut: true}, syscall.ECONNRESET, 0, false},
		{"cut after a while", Fault{Cut: true, Delay: time.Second}, syscall.ECONNRESET, time.Second, false},
		{"answer lost", Fault{Lost: true}, syscall.ECONNRESET, 0, true},
		{"no answer", Fault{Hang: true}, context.DeadlineExceeded, 5 * time.Second, true},
		{"too slow", Fault{Delay: time.Minute}, context.DeadlineExceeded, 5 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Settings{}, func(c caller) {
				c.Inject(tt.fault)
				ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, _, err := c.raw(ctx)
				if !errors.Is(err, tt.want) || time.Since(start) != tt.took {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(start), tt.want, tt.took)
				}
				if got := c.issued.n == 1; got != tt.issues {
					t.Errorf("a token was made: got %v, want %v", got, tt.issues)
				}
				if n := c.Calls(Token); n != 1 {
					t.Errorf("counted %d calls", n)
				}
			})
		})
	}
}

func TestSetAway(t *testing.T) {
	c := newCaller(t, Settings{})
	c.SetAway(true)
	if _, _, err := c.raw(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	c.SetAway(false)
	c.isCode(c.token(), 0)
	if n := c.Total(); n != 1 {
		t.Errorf("counted %d calls", n)
	}
}

func TestFaultSelection(t *testing.T) {
	c := newCaller(t, Settings{})
	c.Inject(Fault{Endpoint: Token, Code: -1, Times: 2})
	second := c.Inject(Fault{Account: "ww01/1000001", Code: 60020})
	for _, want := range []int{-1, -1, 0} {
		c.isCode(c.token(), want)
		c.isCode(c.stable(false), 0)
	}
	c.isCode(c.corpToken("app-secret-1"), 60020)
	c.isCode(c.corpToken("app-secret-2"), 0)
	second()
	c.isCode(c.corpToken("app-secret-1"), 0)
	c.Inject(Fault{Code: -1})
	c.ClearFaults()
	c.isCode(c.token(), 0)
}

func TestValueSize(t *testing.T) {
	c := newCaller(t, Settings{})
	c.SetValueSize(512)
	long := c.token().Access
	if len(long) != 512 {
		t.Errorf("got %d bytes", len(long))
	}
	c.alive(long, 0)
	c.SetValueSize(0)
	if got := c.token().Access; len(got) != 136 {
		t.Errorf("got %d bytes", len(got))
	}
}
