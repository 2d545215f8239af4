package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// newOwnersSite returns a site with the sandbox's platform and suites, to which WeChat pushes. Its
// configuration begins with keys.
func newOwnersSite(t *testing.T, settings wechattest.Settings, keys string) *site {
	t.Helper()
	s := newSiteOf(t, settings)
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s.conf.HTTP, s.conf.Owners = addr, sandbox.Owners()
	for _, o := range s.conf.Owners {
		o.AddTo(s.wechat)
		s.wechat.SetCallback(o.ID, s.conf.Callback(o))
	}
	s.configure(keys, "")
	return s
}

// pushTicket pushes a ticket over HTTP and returns it.
func (s *site) pushTicket(owner string) string {
	s.t.Helper()
	p := s.wechat.TicketPush(owner)
	if d := s.wechat.Send(s.t.Context(), owner, p); d.Err != nil {
		s.t.Fatalf("push of a ticket to %s: HTTP %d, %v", owner, d.Status, d.Err)
	}
	return p.Event.Ticket
}

// pushEvents pushes the pending events.
func (s *site) pushEvents() {
	s.t.Helper()
	before := len(s.wechat.Deliveries())
	s.wechat.Flush(s.t.Context())
	for _, d := range s.wechat.Deliveries()[before:] {
		if d.Err != nil {
			s.t.Errorf("push of %s: HTTP %d, %v", d.Kind, d.Status, d.Err)
		}
	}
}

func (s *site) get(name string) string {
	s.t.Helper()
	v, err := s.client.Get(s.t.Context(), name)
	if err != nil {
		s.t.Fatalf("GET %s: %v", name, err)
	}
	return string(v.Value)
}

func (s *site) wantRefusal(name string, want error) {
	s.t.Helper()
	if _, err := s.client.Get(s.t.Context(), name); !errors.Is(err, want) {
		s.t.Errorf("GET %s: got %v, want %v", name, err, want)
	}
}

// TestServiceProvider runs every step of EasyWeChat's OpenWork page over the socket of a daemon
// process, with two corps and a second suite. All of it survives kill -9.
func TestServiceProvider(t *testing.T) {
	t.Parallel()
	s := newOwnersSite(t, wechattest.Settings{}, "")
	s.serve()
	ctx := t.Context()
	held := map[string]string{}
	held["open_work/wwsandboxprovider/provider_access_token"] = s.get("open_work/wwsandboxprovider/provider_access_token")

	s.wantRefusal("open_work/wwsandboxsuite/suite_access_token", clientlib.ErrWaiting)
	held["open_work/wwsandboxsuite/suite_ticket"] = s.pushTicket("wwsandboxsuite")
	p := s.wechat.TicketPush("dksandboxtemplate") // submitted by a web page
	held["open_work/dksandboxtemplate/suite_ticket"] = p.Event.Ticket
	err := s.client.Push(ctx, "open_work/dksandboxtemplate", clientlib.Callback{
		MsgSignature: p.MsgSignature, Timestamp: p.Timestamp, Nonce: p.Nonce, Encrypt: p.Encrypt,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []string{"wwsandboxsuite", "dksandboxtemplate"} {
		owner := "open_work/" + suite
		held[owner+"/suite_access_token"] = s.get(owner + "/suite_access_token")
		if a, b := s.get(owner+"/pre_auth_code"), s.get(owner+"/pre_auth_code"); a == b {
			t.Errorf("%s: two requests got the same pre_auth_code", suite)
		}
		for _, corp := range []string{"wwcorp1", "wwcorp2"} {
			s.wantRefusal(owner+"/"+corp+"/access_token", clientlib.ErrReauth)
			customer, err := s.client.Exchange(ctx, owner, clientlib.Secret(s.wechat.Authorize(suite, corp)))
			if err != nil || customer != owner+"/"+corp {
				t.Fatalf("EXCHANGE: got %q, %v", customer, err)
			}
			for _, word := range []string{"access_token", "jsapi_ticket", "agent_config_ticket"} {
				held[customer+"/"+word] = s.get(customer + "/" + word)
			}
			if _, err := s.client.Sign(ctx, customer+"/agent_config_ticket", "https://example.com/a?b=c"); err != nil {
				t.Errorf("SIGN: %v", err)
			}
			s.wantRefusal(customer+"/permanent_code", clientlib.ErrDenied)
		}
	}
	s.pushEvents() // known from the exchanges

	whose := map[string]string{}
	for name, v := range held {
		if other, ok := whose[v]; ok {
			t.Errorf("%s and %s share a value", name, other)
		}
		whose[v] = name
		if strings.HasSuffix(name, "/access_token") && !s.wechat.Valid(v) {
			t.Errorf("WeChat does not accept %s", name)
		}
	}
	calls := s.wechat.Total()
	s.end(syscall.SIGKILL)
	s.serve()
	for name, v := range held {
		if s.get(name) != v {
			t.Errorf("%s: another value after kill -9", name)
		}
	}
	if got := s.wechat.Total() - calls; got != 0 {
		t.Errorf("calls after kill -9: got %d, want none", got)
	}
}

// TestNothingOfCustomersIsWritten searches everything that tokend writes for the secrets of
// platforms, suites and their customers.
func TestNothingOfCustomersIsWritten(t *testing.T) {
	t.Parallel()
	s := newOwnersSite(t, wechattest.Settings{RotateRefreshTokens: true}, "encryption_key = \""+strings.Repeat("5eed", 16)+"\"\n")
	s.serve()
	c := newCanaries(s)
	c.session("1")
	for i, f := range []wechattest.Fault{{Code: 40001}, {Code: 61023}, {Body: wechattest.HTML}, {Lost: true}, {NoGrant: true}, {ExpiresIn: "-1"}} {
		clear := s.wechat.Inject(f)
		c.session(string(rune('2' + i)))
		clear()
	}
	for _, o := range s.conf.Owners { // WeChat's own are no longer needed
		ticket, _ := words(o)
		c.run("canary-ticket-of-"+o.ID+"\n", "put", o.Path()+"/"+ticket)
		c.plant("canary-ticket-of-" + o.ID)
		c.value("refresh", o.Path()+"/pre_auth_code")
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	if len(c.secrets) < 80 || !strings.Contains(s.log(), "[DEBUG]") || !strings.Contains(c.shown.String(), "REAUTH") {
		t.Fatalf("the session failed: %d canaries\n%s", len(c.secrets), c.shown.String())
	}
	c.search("the log", s.log())
	c.search("what commands print", c.shown.String())
	err := filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		c.search(filepath.Base(path), string(b))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// words returns the last segments of an owner's ticket and its customers' grants.
func words(o sandbox.Owner) (ticket, grant string) {
	if o.Provider == "" {
		return "component_verify_ticket", "refresh_token"
	}
	return "suite_ticket", "permanent_code"
}

// canaries are the secrets of a session with platforms, suites and customers, and its output except
// for values.
type canaries struct {
	*site
	secrets map[string]bool
	shown   strings.Builder
}

func newCanaries(s *site) *canaries {
	c := &canaries{site: s, secrets: map[string]bool{}}
	for _, o := range s.conf.Owners {
		c.plant(o.Secret, o.Token, o.AESKey)
	}
	return c
}

func (c *canaries) plant(secrets ...string) {
	for _, s := range secrets {
		if s != "" {
			c.secrets[s] = true
		}
	}
}

// search searches text for every secret.
func (c *canaries) search(where, text string) {
	c.t.Helper()
	for secret := range c.secrets {
		if strings.Contains(text, secret) || strings.Contains(text, hex.EncodeToString([]byte(secret))) {
			c.t.Errorf("%s shows a secret (of %d bytes)", where, len(secret))
		}
	}
}

// run runs a command and records its output.
func (c *canaries) run(stdin string, args ...string) {
	stdout, stderr, _ := c.tokend(stdin, args...)
	c.shown.WriteString(stdout + stderr)
}

// value runs a command whose standard output is a value, if it succeeds.
func (c *canaries) value(args ...string) {
	stdout, stderr, code := c.tokend("", args...)
	if code == 0 {
		c.plant(strings.TrimSpace(stdout))
	} else {
		c.shown.WriteString(stdout)
	}
	c.shown.WriteString(stderr)
}

// session does everything that is possible with an owner and its customers, under its own names.
func (c *canaries) session(suffix string) {
	for _, o := range c.conf.Owners {
		ticket, grant := words(o)
		// A pushed ticket, and a forged one.
		c.plant(c.pushTicket(o.ID))
		c.forged(o)

		// A customer by code, by event, and by grant.
		child := o.Path() + "/" + "canary" + suffix + "a"
		code := c.wechat.Authorize(o.ID, "canary"+suffix+"a")
		c.plant(code, c.wechat.CurrentGrant(o.ID, "canary"+suffix+"a"))
		c.run(code+"\n", "exchange", o.Path(), "-")
		c.run("canary-code-"+suffix+"\n", "exchange", o.Path(), "-")
		c.plant("canary-code-" + suffix)
		c.plant(c.wechat.Authorize(o.ID, "canary"+suffix+"b"))
		c.plant(c.wechat.CurrentGrant(o.ID, "canary"+suffix+"b"))
		c.wechat.Flush(c.t.Context())
		old := c.wechat.AddCustomer(o.ID, "canary"+suffix+"c")
		c.plant(old)
		c.run(old+"\n", "put", o.Path()+"/canary"+suffix+"c/"+grant)
		c.run("canary-grant-"+suffix+"\n", "put", o.Path()+"/canary"+suffix+"d/"+grant)
		c.plant("canary-grant-" + suffix)
		c.run("", "import", o.Path())

		names := []string{o.Path() + "/" + ticket, child + "/" + grant}
		for _, customer := range []string{"a", "b", "c", "d"} {
			names = append(names, o.Path()+"/canary"+suffix+customer+"/access_token", o.Path()+"/canary"+suffix+customer+"/jsapi_ticket")
		}
		for _, name := range names {
			c.value("get", name)
			c.value("refresh", name)
			for _, args := range [][]string{{"status", name}, {"status", "--json", name}, {"history", "--json", name}} {
				c.run("", args...)
			}
		}
		for _, customer := range []string{"a", "b", "c"} {
			c.plant(c.wechat.CurrentGrant(o.ID, "canary"+suffix+customer)) // rotated since
		}
		c.wechat.Unauthorize(o.ID, "canary"+suffix+"a")
		c.wechat.Flush(c.t.Context())
		c.value("get", child+"/access_token")
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"status"}, {"status", "--json"}} {
		c.run("", args...)
	}
}

// forged sends invalid pushes: with a wrong signature, and to another owner.
func (c *canaries) forged(o sandbox.Owner) {
	for _, q := range []wechattest.Quirks{{BadSignature: true}, {Receiver: "wxcanaryreceiver"}, {Owner: "wxcanaryowner"}} {
		c.wechat.SetQuirks(o.ID, q)
		p := c.wechat.TicketPush(o.ID)
		c.wechat.SetQuirks(o.ID, wechattest.Quirks{})
		c.plant(p.Event.Ticket, p.Encrypt, p.MsgSignature)
		if d := c.wechat.Send(context.WithoutCancel(c.t.Context()), o.ID, p); d.Err == nil {
			c.t.Errorf("%+v: accepted over HTTP", q)
		}
		err := c.client.Push(c.t.Context(), o.Path(), clientlib.Callback{
			MsgSignature: p.MsgSignature, Timestamp: p.Timestamp, Nonce: p.Nonce, Encrypt: p.Encrypt,
		})
		if err == nil {
			c.t.Errorf("%+v: accepted by PUSH", q)
		} else {
			c.shown.WriteString(err.Error() + "\n")
		}
	}
}
