package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/fetchers/wechattest"
)

// userHZ is the unit of the times in /proc/<pid>/stat, in ticks per second: 100 on every
// architecture that Go supports (proc(5), sysconf(3)).
const userHZ = 100

// cpu returns the daemon's processor time.
func (s *faultSite) cpu() time.Duration {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.daemon.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	// The second field is a name in parentheses. utime and stime are the 14th and the 15th field.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ
}

// TestDescriptorsExhausted opens more connections than the daemon may have file descriptors.
// Accepted connections are served and get no expired value: fetches succeed, since some descriptors
// are reserved for them. Other connections get an error at once. The daemon logs once and does not
// spin, and accepts connections again when others are closed.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, 2*time.Second)
	s.spawn()
	s.answers()
	for _, name := range s.tokens() {
		s.good(s.client, name)
	}
	if err := unix.Prlimit(s.daemon.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}, nil); err != nil {
		t.Skipf("prlimit: %v", err)
	}
	const busy = "ERR BUSY 1 too many connections\n"
	var served []net.Conn
	t.Cleanup(func() {
		for _, c := range served {
			_ = c.Close()
		}
	})
	ask := func() (net.Conn, string) {
		c, err := net.Dial("unix", s.conf.Socket())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(longEnough))
		_, _ = io.WriteString(c, "PING\n") // a refused connection may be closed already
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatalf("connection %d: got %q, %v", len(served), line, err)
		}
		return c, line
	}
	refused := 0
	for range 300 {
		c, line := ask()
		switch line {
		case "OK PONG\n":
			served = append(served, c)
		case busy:
			refused++
			_ = c.Close()
		default:
			t.Fatalf("connection %d: got %q", len(served), line)
		}
	}
	if len(served) < 8 || refused == 0 {
		t.Errorf("of 300 connections %d are served and %d refused", len(served), refused)
	}
	began, before := time.Now(), s.cpu()
	for length := span(2*s.life, time.Minute); time.Since(began) < length; {
		for _, name := range s.tokens() {
			_, late, err := s.get(s.client, name) // on an old connection
			if err != nil || tooLate(name, late) {
				t.Errorf("%s: %v, %v after its expiry", name, err, late)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	elapsed, spent := time.Since(began), s.cpu()-before
	if share := float64(spent) / float64(elapsed); share > 0.2 {
		t.Errorf("processor time: %v in %v", spent, elapsed)
	}
	lines := strings.Count(s.log(), "too few descriptors")
	if lines != 1 {
		t.Errorf("log lines: got %d, want 1\n%s", lines, s.tail())
	}
	for _, c := range served {
		_ = c.Close()
	}
	freed := time.Now()
	s.within(longEnough, "connections are accepted again", func() bool {
		c, line := ask()
		_ = c.Close()
		return line == "OK PONG\n"
	})
	t.Logf("at 64 descriptors %d connections are served and %d refused, and every fetch succeeds for %v, with %v of processor time; connections are accepted again after %v",
		len(served), refused, elapsed.Round(time.Second), spent, time.Since(freed).Round(time.Millisecond))
}

// TestStoppedPastExpiry stops the process until all its values have expired, with requests pending.
// When it continues, replies contain valid values, or errors if WeChat is down.
func TestStoppedPastExpiry(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, 2*time.Second)
	s.spawn()
	s.answers()
	names := s.tokens()
	served, refused := 0, 0
	for n := range rounds(2, 20) {
		before := map[string]string{}
		for _, name := range names {
			before[name] = s.good(s.client, name)
		}
		s.signal(syscall.SIGSTOP)
		away := n%2 == 1
		s.wechat.SetAway(away)
		time.Sleep(s.life + 200*time.Millisecond) // every value has expired
		for name, v := range before {
			if s.wechat.Valid(v) {
				t.Errorf("%s: still valid", name)
			}
		}
		var readers sync.WaitGroup
		var mu sync.Mutex
		for _, name := range names {
			readers.Go(func() {
				c := s.newClient()
				defer c.Close()
				_, late, err := s.get(c, name)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && !away && late <= 0:
					served++
				case err != nil && away && !died(err):
					refused++
				default:
					t.Errorf("%s, WeChat down %t: error %v, %v after its expiry", name, away, err, late)
				}
			})
		}
		time.Sleep(50 * time.Millisecond) // most requests are pending
		s.signal(syscall.SIGCONT)
		readers.Wait()
		s.wechat.SetAway(false)
		s.within(longEnough, "all values are served again", func() bool {
			for _, name := range names {
				if _, _, err := s.get(s.client, name); err != nil {
					return false
				}
			}
			return true
		})
	}
	t.Logf("%d requests answered with valid values and %d with errors, none with expired values", served, refused)
}

func (s *faultSite) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.daemon.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// TestCrashLoopInAnOutage restarts one daemon repeatedly while WeChat fails, and runs another
// without restarts. The first makes no more calls than the second, except for calls that a kill
// interrupted.
func TestCrashLoopInAnOutage(t *testing.T) {
	t.Parallel()
	crashing, running := newFaultSite(t, 2*time.Hour), newFaultSite(t, 2*time.Hour)
	for _, s := range []*faultSite{crashing, running} {
		for _, a := range s.accounts {
			id := a.ID
			if a.AgentID != "" {
				id += "/" + a.AgentID
			}
			s.wechat.Inject(wechattest.Fault{Account: id, Status: 502})
		}
	}
	read := func(s *faultSite) {
		for _, name := range s.tokens() {
			if _, _, err := s.get(s.client, name); err == nil || died(err) {
				s.t.Errorf("%s, during the outage: %v", name, err)
			}
		}
	}
	running.spawn()
	running.answers()
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			read(running)
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	began := time.Now()
	var kills []time.Time
	n := rounds(15, 100)
	for range n {
		crashing.spawn()
		crashing.answers()
		read(crashing)
		time.Sleep(rand.N(span(100*time.Millisecond, 300*time.Millisecond)))
		kills = append(kills, time.Now())
		crashing.kill()
	}
	elapsed := time.Since(began)
	close(stop)
	reader.Wait()
	running.kill()
	crashed, ran := crashing.wechat.Total(), running.wechat.Total()
	if ran < len(running.tokens()) {
		t.Errorf("one run made only %d calls for %d credentials", ran, len(running.tokens()))
	}
	cut := 0
	for _, c := range crashing.calls {
		if lost(c, kills) {
			cut++
		}
	}
	if crashed > ran+cut {
		t.Errorf("calls: %d in %d runs, %d of them interrupted by kills; %d in one run of the same time", crashed, n, cut, ran)
	}
	t.Logf("%d runs in %v: %d calls, %d of them interrupted by kills; one run: %d", n, elapsed.Round(time.Second), crashed, cut, ran)
}
