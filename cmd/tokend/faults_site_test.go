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

// The platform and the template of every [faultSite], and what only a test may know of them.
const (
	faultPlatform       = "wxfaultplatform"
	faultPlatformSecret = "fault-secret-of-the-platform"
	faultTemplate       = "dkfaulttemplate"
	faultTemplateSecret = "fault-secret-of-the-template"
	faultSigns          = "fault-callback-token"
	faultAESKey         = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

	faultTicket = "open_platform/" + faultPlatform + "/component_verify_ticket"
)

// faultSite is a site whose tokens are short-lived, with a platform whose refresh tokens rotate
// at each use and a template whose permanent codes are secrets.
type faultSite struct {
	*site
	life time.Duration

	mu    sync.Mutex
	calls []wechattest.Call // in the order of their ends
	seq   int               // of customers
}

// twoHours is how long WeChat's tokens live.
const twoHours = 2 * time.Hour

// rounds is how often to break something: short in every run of the tests, long with -faults.
func rounds(short, long int) int {
	if *faults {
		return long
	}
	return short
}

// span is the same for how long.
func span(short, long time.Duration) time.Duration {
	if *faults {
		return long
	}
	return short
}

// newFaultSite builds one whose tokens live for life. A rotating token lives half of that beside
// its successor, so that a busy machine does not decide whether it is still good.
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

// faultTables is the configuration of the platform and the template.
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

// tokens are the names of the access tokens of the site's own accounts, which have no quota that
// such short lives would spend.
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

// newChild returns the id of a customer that has never been.
func (s *faultSite) newChild(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	return fmt.Sprintf("%s%05d", prefix, s.seq)
}

// newClient returns a client of its own, whose waits end before the test does.
func (s *faultSite) newClient() *clientlib.Client {
	return &clientlib.Client{Socket: s.conf.Socket(), Timeout: longEnough}
}

// get reads name and holds that the value was good when it was asked for. It returns the
// value, and by how much it was not.
func (s *faultSite) get(c *clientlib.Client, name string) (value string, late time.Duration, err error) {
	asked := time.Now()
	v, err := c.Get(context.Background(), name)
	if err != nil {
		return "", 0, err
	}
	ends := s.wechat.Ends(string(v.Value))
	if ends.IsZero() {
		return "", 0, fmt.Errorf("%s: a value that WeChat does not know", name)
	}
	return string(v.Value), asked.Sub(ends), nil
}

// good is get where nothing must go wrong.
func (s *faultSite) good(c *clientlib.Client, name string) string {
	s.t.Helper()
	v, late, err := s.get(c, name)
	if err != nil {
		s.t.Errorf("%v\n%s", err, s.tail())
	}
	if tooLate(name, late) {
		s.t.Errorf("%s: served %v after its end", name, late)
	}
	return v
}

// tooLate reports whether name was served longer than WeChat has said that it lives. Where WeChat
// answers the value in force again, and is asked in its last second, it says of what is left that
// it is a whole one.
func tooLate(name string, late time.Duration) bool {
	rotates := strings.HasPrefix(name, "open_platform/") && strings.HasSuffix(name, "access_token")
	return late > 0 && (rotates || late > longestLate)
}

// status returns one line of a credential's status.
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

// pushTicket puts a new ticket of the platform's, and returns it.
func (s *faultSite) pushTicket(c *clientlib.Client) (string, error) {
	ticket := s.wechat.TicketPush(faultPlatform).Event.Ticket
	return ticket, c.Put(context.Background(), faultTicket, clientlib.Secret(ticket))
}

// customer puts the grant of a new customer of the platform's, and returns the name of
// its token.
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

// launch is spawn by another command line.
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

// answers waits until the daemon that was spawned answers.
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

// kill ends the daemon with SIGKILL; one that ended by itself before has failed.
func (s *faultSite) kill() {
	s.t.Helper()
	_ = s.daemon.Process.Kill()
	_ = s.daemon.Wait()
	if st, ok := s.daemon.ProcessState.Sys().(syscall.WaitStatus); ok && !st.Signaled() {
		s.t.Fatalf("the daemon ended by itself: %v\n%s", s.daemon.ProcessState, s.tail())
	}
}

// tail returns the end of what the daemon has logged, and before it that of what was no mere
// information.
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

// last returns the end of s, n bytes at most.
func last(s string, n int) string { return s[max(0, len(s)-n):] }

// died reports whether err is what a request comes to when the daemon is killed under it, and
// not what a daemon has answered.
func died(err error) bool {
	_, refused := errors.AsType[*clientlib.Error](err)
	return err != nil && !refused && !errors.Is(err, context.DeadlineExceeded)
}

// within waits until f, and returns how long that took.
func (s *faultSite) within(limit time.Duration, what string, f func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > limit {
			s.t.Fatalf("not within %v: %s\n%s", limit, what, s.tail())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}
