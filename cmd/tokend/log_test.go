package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tokend/clientlib"
	"tokend/daemon/logqueue"
	"tokend/fetchers/wechattest"
)

// serveInto starts the site's daemon with its log in a pipe, waits until it responds, and returns
// the reading end.
func (s *site) serveInto() *os.File {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = r.Close() })
	cmd := s.command("tokend", "serve", "--config", s.file())
	cmd.Stdout, cmd.Stderr = w, w
	s.start(cmd)
	_ = w.Close()
	return r
}

// counter returns a counter of STATS.
func (s *site) counter(key string) int {
	s.t.Helper()
	stats, err := s.client.Stats(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range stats {
		if c.Key == key {
			n, err := strconv.Atoi(c.Value)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("STATS has no %s", key)
	return 0
}

// worksWithoutReader holds that an operator's commands, refreshes and WeChat's pushes do not wait
// for the log reader.
func (s *site) worksWithoutReader() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), longEnough)
	defer cancel()
	suite := s.conf.Owners[1]
	s.pushTicket(suite.ID)
	if _, err := s.client.Refresh(ctx, "official_account/wxsandboxrotating/access_token"); err != nil {
		s.t.Errorf("REFRESH: %v", err)
	}
	if err := s.client.Put(ctx, s.conf.Owners[0].Path()+"/wxbyhand/refresh_token", "by-hand"); err != nil {
		s.t.Errorf("PUT: %v", err)
	}
	if _, err := s.client.Exchange(ctx, suite.Path(), clientlib.Secret(s.wechat.Authorize(suite.ID, "wwcorp1"))); err != nil {
		s.t.Errorf("EXCHANGE: %v", err)
	}
}

// flood makes the daemon log at least n lines at level trace.
func (s *site) flood(n int) {
	s.t.Helper()
	for range n {
		c, err := net.Dial("unix", s.conf.Socket())
		if err != nil {
			s.t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(longEnough))
		_, _ = io.WriteString(c, "QUIT\n")
		if _, err := io.ReadAll(c); err != nil {
			s.t.Fatal(err)
		}
		_ = c.Close()
	}
}

// TestLogReaderGone holds that the daemon serves, refreshes and obeys SIGTERM after its log reader
// has exited.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	s := newOwnersSite(t, wechattest.Settings{}, "")
	r := s.serveInto()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	for range 3 {
		s.worksWithoutReader()
	}
	if n := s.counter("log_dropped"); n == 0 {
		t.Error("no line is counted as dropped")
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
}

// TestLogReaderStalled holds that a stalled log reader blocks nothing. When it reads again, the log
// reports the dropped lines.
func TestLogReaderStalled(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newOwnersSite(t, wechattest.Settings{Lifetime: 2 * time.Second}, "log_format = \""+format+"\"\n")
			r := s.serveInto()
			s.get(s.accounts[0].Names()[0])
			s.flood(6000)
			s.worksWithoutReader()
			dropped := s.counter("log_dropped")
			if dropped == 0 {
				t.Fatal("6000 lines fit into the queue and the pipe")
			}
			for began, calls := time.Now(), s.wechat.Total(); s.wechat.Total() == calls; time.Sleep(time.Millisecond) {
				if time.Since(began) > longEnough {
					t.Fatal("nothing is refreshed in the background")
				}
			}
			lines := make(chan string, 1<<16) // more lines than there can be
			go func() {
				defer close(lines)
				for in := bufio.NewScanner(r); in.Scan(); {
					lines <- in.Text()
				}
			}()
			told, puts, last := 0, 0, ""
			count := func(line string) {
				last = line
				told += missing(format, last)
				if strings.Contains(last, "audit") && strings.Contains(last, "PUT") {
					puts++
				}
			}
			// The queue accepts ordinary lines again when half of it is free, and writes the report
			// before them.
			for late := time.After(longEnough); told == 0; {
				select {
				case line := <-lines:
					count(line)
				case <-late:
					t.Fatal("the log does not report the dropped lines")
				}
			}
			if code := s.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status: got %d, want 0", code)
			}
			for line := range lines {
				count(line)
			}
			if told < dropped {
				t.Errorf("%d lines are missing, the log reports %d", dropped, told)
			}
			if puts != 1 {
				t.Errorf("the audit log has %d lines for one PUT", puts)
			}
			if !strings.Contains(last, "stopped") {
				t.Errorf("the last line is %s", last)
			}
		})
	}
}

// missing returns the number of dropped lines that a log line reports, or 0.
func missing(format, line string) int {
	if !strings.Contains(line, "log lines dropped") {
		return 0
	}
	if format == "json" {
		var o struct{ Lines int }
		_ = json.Unmarshal([]byte(line), &o)
		return o.Lines
	}
	_, number, _ := strings.Cut(line, "lines=")
	n, _ := strconv.Atoi(number)
	return n
}

// TestStopWithStalledLog holds that a stop waits for the log's reader for at most a second.
func TestStopWithStalledLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serveInto()
	s.flood(2000) // more than the pipe holds
	began := time.Now()
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	if took := time.Since(began); took < time.Second || took > longEnough {
		t.Errorf("the stop took %v, want about a second", took)
	}
}

// answerTwice answers each request at ln with body, twice.
func answerTwice(ln net.Listener, body string) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for r := bufio.NewReader(conn); ; {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				_, _ = io.WriteString(conn, answer+answer)
			}
		}()
	}
}

// TestSecondAnswerIsNotLogged holds that an upstream that answers a call twice puts no token into
// the log. Package net/http itself logs the second answer.
func TestSecondAnswerIsNotLogged(t *testing.T) {
	t.Parallel()
	const token = "74_of-an-upstream-that-answers-twice"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go answerTwice(ln, `{"access_token":"`+token+`","expires_in":7200}`)
	s := newSiteOf(t, wechattest.Settings{})
	s.conf.URL = "http://" + ln.Addr().String()
	s.configure("", "")
	s.serve()
	s.get("official_account/wxsandboxrotating/access_token")
	for began := time.Now(); !strings.Contains(s.log(), "Unsolicited response"); time.Sleep(time.Millisecond) {
		if time.Since(began) > longEnough {
			t.Fatal("the second answer is not in the log")
		}
	}
	if strings.Contains(s.log(), token) {
		t.Error("the log has a token")
	}
}

// TestStandardLogWaits holds that a line that may end the process is written before Write returns.
// A line of net/http does not wait, since a connection would wait for it.
func TestStandardLogWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled, stall := io.Pipe()
		queue := logqueue.New(logqueue.Config{Out: stall})
		log := log.New(standardLog{queue}, "", 0)
		for line, want := range map[string]time.Duration{
			"the value log is gone": logPatience,
			`Unsolicited response received on idle HTTP channel starting with "HTTP/1.1 200 OK"`: 0,
		} {
			began := time.Now()
			log.Print(line)
			if took := time.Since(began); took != want {
				t.Errorf("%s: waited %v, want %v", line, took, want)
			}
		}
		_ = stalled.Close()
		queue.Close(logPatience)
	})
}

// TestSecondSignalWithStalledLog holds that a second signal ends a daemon whose log has a stalled
// reader, although its last error goes there.
func TestSecondSignalWithStalledLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serveInto()
	s.flood(2000)
	s.wechat.Inject(wechattest.Fault{Delay: longEnough})
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { _, _ = s.client.Get(context.Background(), "official_account/wxsandboxrotating/access_token") })
	// The call must be made after the flood, which may take long: its time limit is longer.
	for late := time.Now().Add(longEnough); s.wechat.Total() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("no call is made")
		}
	}
	// The log cannot show that the first signal has been handled, so the second one is repeated.
	ended := make(chan struct{})
	var signals sync.WaitGroup
	defer signals.Wait()
	defer close(ended)
	signals.Go(func() {
		for {
			_ = s.daemon.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
				return
			case <-time.After(time.Second):
			}
		}
	})
	if code := s.ended(); code != 1 {
		t.Errorf("exit status: got %d, want 1", code)
	}
}

// TestWatchReaderGone holds that other commands end as usual when their output has no reader.
func TestWatchReaderGone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	var stderr strings.Builder
	cmd := exec.Command("tokend", "watch", "--socket", s.conf.Socket())
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	s.everything()
	waitOrKill(cmd)
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGPIPE || stderr.Len() > 0 {
		t.Errorf("got %v and %q, want a quiet end by SIGPIPE", cmd.ProcessState, stderr.String())
	}
}

// TestFewConfigurationLines holds that the warnings of a large configuration, and the mistakes of a
// refused one, do not fill the log.
func TestFewConfigurationLines(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, wechattest.Settings{})
	var doubtful, bad strings.Builder
	for i := range maxLogged + 7 {
		for _, family := range []string{"official_account", "mini_program"} {
			fmt.Fprintf(&doubtful, "[[%s]]\napp_id = \"wxboth%d\"\nsecret = \"s\"\n", family, i)
		}
		fmt.Fprintf(&bad, "[[mini_program]]\napp_id = \"wxbad%d\"\n", i)
	}
	s.configure("", doubtful.String())
	s.serve()
	s.waitLog(": more=7\n")
	s.configure("", bad.String())
	if _, _, code := s.tokend("", "reload"); code != 2 {
		t.Errorf("reload: got exit status %d, want 2", code)
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	for _, line := range []string{"is also an [[official_account]]", "secret is missing"} {
		if n := strings.Count(s.log(), line); n != maxLogged {
			t.Errorf("%s: got %d lines, want %d", line, n, maxLogged)
		}
	}
	if n := strings.Count(s.log(), ": more=7\n"); n != 2 {
		t.Errorf("got %d lines with the number of omitted lines, want 2", n)
	}
}
