package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// The platform and the template of every [faultSite], and their secrets.
const (
	faultPlatform       = "wxfaultplatform"
	faultPlatformSecret = "fault-secret-of-the-platform"
	faultTemplate       = "dkfaulttemplate"
	faultTemplateSecret = "fault-secret-of-the-template"
	faultSigns          = "fault-callback-token"
	faultAESKey         = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

	faultTicket = "open_platform/" + faultPlatform + "/component_verify_ticket"
)

// faultSite is a site with short-lived tokens, a platform whose refresh tokens rotate at each use,
// and a template whose permanent codes are secrets.
type faultSite struct {
	*site
	life time.Duration

	mu    sync.Mutex
	calls []wechattest.Call // in the order of their ends
	seq   int               // number of customers
}

// twoHours is the lifetime of WeChat's tokens.
const twoHours = 2 * time.Hour

// rounds returns the number of repetitions: short by default, long with -faults.
func rounds(short, long int) int {
	if *faults {
		return long
	}
	return short
}

// span returns a duration in the same way.
func span(short, long time.Duration) time.Duration {
	if *faults {
		return long
	}
	return short
}

// newFaultSite returns a site whose tokens live for life. A rotated token stays valid for half of
// life, so that a busy machine does not decide whether it is valid.
func newFaultSite(t *testing.T, life time.Duration) *faultSite {
	t.Helper()
	s := &faultSite{life: life}
	s.site = newSiteOf(t, wechattest.Settings{
		Lifetime:            life,
		Overlap:             life / 2,
		RotateRefreshTokens: true,
		OnCall: func(c wechattest.Call) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.calls = append(s.calls, c)
		},
	})
	s.conf.LogLevel = "info"
	s.wechat.AddPlatform(faultPlatform, faultPlatformSecret, faultSigns, faultAESKey)
	s.wechat.AddSuite("wwsandboxprovider", faultTemplate, faultTemplateSecret, faultSigns, faultAESKey)
	s.configure("", faultTables())
	return s
}

// faultTables returns the configuration of the platform and the template.
func faultTables() string {
	return fmt.Sprintf(`
[[open_platform]]
app_id = %q
secret = %q
token = %q
aes_key = %q

[[open_work]]
corp_id = "wwfaultprovider"
provider_secret = "of-no-use"
  [[open_work.suite]]
  suite_id = %q
  suite_secret = %q
  token = %[3]q
  aes_key = %[4]q
`, faultPlatform, faultPlatformSecret, faultSigns, faultAESKey, faultTemplate, faultTemplateSecret)
}

// tokens returns the names of the access tokens of the site's own accounts. They have no quota that
// short lifetimes would use up.
func (s *faultSite) tokens() []string {
	var names []string
	for _, a := range s.accounts {
		switch a.Family {
		case "official_account", "mini_program", "work", "open_work":
			names = append(names, a.Names()[0])
		}
	}
	return names
}

// newChild returns the id of a new customer.
func (s *faultSite) newChild(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	return fmt.Sprintf("%s%05d", prefix, s.seq)
}

// newClient returns a new client, whose waits end before the test does.
func (s *faultSite) newClient() *clientlib.Client {
	return &clientlib.Client{Socket: s.conf.Socket(), Timeout: longEnough}
}

// get reads name and checks that the value was valid at the time of the request. It returns the
// value and how long after its expiry it was served.
func (s *faultSite) get(c *clientlib.Client, name string) (value string, late time.Duration, err error) {
	asked := time.Now()
	v, err := c.Get(context.Background(), name)
	if err != nil {
		return "", 0, err
	}
	ends := s.wechat.Ends(string(v.Value))
	if ends.IsZero() {
		return "", 0, fmt.Errorf("%s: WeChat does not know the value", name)
	}
	return string(v.Value), asked.Sub(ends), nil
}

// good is get for reads that must succeed.
func (s *faultSite) good(c *clientlib.Client, name string) string {
	s.t.Helper()
	v, late, err := s.get(c, name)
	if err != nil {
		s.t.Errorf("%v\n%s", err, s.tail())
	}
	if tooLate(name, late) {
		s.t.Errorf("%s: served %v after its expiry", name, late)
	}
	return v
}

// tooLate reports whether name was served longer than the lifetime that WeChat returned. If WeChat
// repeats the current value in its last second, it returns a full second as the remaining lifetime.
func tooLate(name string, late time.Duration) bool {
	rotates := strings.HasPrefix(name, "open_platform/") && strings.HasSuffix(name, "access_token")
	return late > 0 && (rotates || late > longestLate)
}

// status returns one value of a credential's status.
func (s *faultSite) status(name, key string) string {
	s.t.Helper()
	pairs, err := s.client.Status(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range pairs {
		if p.Key == key {
			return p.Value
		}
	}
	s.t.Fatalf("STATUS %s has no %s", name, key)
	return ""
}

// pushTicket puts a new ticket of the platform and returns it.
func (s *faultSite) pushTicket(c *clientlib.Client) (string, error) {
	ticket := s.wechat.TicketPush(faultPlatform).Event.Ticket
	return ticket, c.Put(context.Background(), faultTicket, clientlib.Secret(ticket))
}

// customer puts the grant of a new customer of the platform and returns the name of the customer's
// token.
func (s *faultSite) customer(c *clientlib.Client) (string, error) {
	child := s.newChild("wxput")
	name := "open_platform/" + faultPlatform + "/" + child
	grant := s.wechat.AddCustomer(faultPlatform, child)
	return name + "/access_token", c.Put(context.Background(), name+"/refresh_token", clientlib.Secret(grant))
}

// spawn starts a daemon without waiting for it.
func (s *faultSite) spawn() {
	s.t.Helper()
	s.launch(exec.Command("tokend", "serve", "--config", s.file()))
}

// launch is spawn with another command line.
func (s *faultSite) launch(cmd *exec.Cmd) {
	s.t.Helper()
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	s.begin(cmd)
}

// answers waits until the spawned daemon responds.
func (s *faultSite) answers() {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		err := s.client.Ping(s.t.Context())
		if err == nil {
			return
		}
		if time.Since(began) > longEnough {
			s.t.Fatalf("no answer: %v\n%s", err, s.tail())
		}
	}
}

// kill sends SIGKILL to the daemon. The test fails if the daemon has ended before.
func (s *faultSite) kill() {
	s.t.Helper()
	_ = s.daemon.Process.Kill()
	_ = s.daemon.Wait()
	if st, ok := s.daemon.ProcessState.Sys().(syscall.WaitStatus); ok && !st.Signaled() {
		s.t.Fatalf("the daemon ended by itself: %v\n%s", s.daemon.ProcessState, s.tail())
	}
}

// tail returns the last warnings and errors of the daemon's log, followed by its last lines.
func (s *faultSite) tail() string {
	log := s.log()
	var trouble strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "[INFO]") {
			trouble.WriteString(line)
		}
	}
	return last(trouble.String(), 4000) + last(log, 2000)
}

// last returns the end of s, at most n bytes.
func last(s string, n int) string { return s[max(0, len(s)-n):] }

// died reports whether err is the error of a request whose daemon was killed, not an error reply.
func died(err error) bool {
	_, refused := errors.AsType[*clientlib.Error](err)
	return err != nil && !refused && !errors.Is(err, context.DeadlineExceeded)
}

// within waits until f returns true and returns the time that it took.
func (s *faultSite) within(limit time.Duration, what string, f func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > limit {
			s.t.Fatalf("not in %v: %s\n%s", limit, what, s.tail())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}
