package generator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a server of the test's own, in tokend's language.
type server struct {
	path     string
	asked    atomic.Int64
	accepted atomic.Int64
	names    sync.Map
}

// silence is no answer at all.
const silence = "silence"

// newServer answers each line by what answer returns; "" closes the connection.
func newServer(t *testing.T, answer func(n int64, line string) string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "gen") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{path: filepath.Join(dir, "s")}
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
		os.RemoveAll(dir)
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			running.Go(func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					s.names.Store(lines.Text(), true)
					reply := answer(s.asked.Add(1), lines.Text())
					if reply == "" {
						return
					}
					if reply == silence {
						continue
					}
					if _, err := c.Write([]byte(reply)); err != nil {
						return
					}
				}
			})
		}
	})
	return s
}

func ok(int64, string) string { return "OK 7000 " + strings.Repeat("v", 512) + "\n" }

func requests(n int) *Requests {
	var r Requests
	for i := range n {
		r.Add(func(b []byte) []byte { return Tokend.AppendGet(b, fmt.Sprint("work/ww/", i, "/access_token")) })
	}
	return &r
}

// drivers runs a test over the loop, where there is one, and over goroutines.
func drivers(t *testing.T, f func(t *testing.T, run func(Plan) (*Result, error))) {
	for _, portable := range []bool{false, true} {
		if !portable && !haveLoop {
			continue
		}
		t.Run(map[bool]string{false: "loop", true: "portable"}[portable], func(t *testing.T) {
			f(t, func(p Plan) (*Result, error) {
				p.Portable = portable
				return Run(t.Context(), p)
			})
		})
	}
}

// TestCount holds that exactly as much is asked as is said, whatever the shape of the load, and
// that every reply is counted.
func TestCount(t *testing.T) {
	for _, tt := range []Plan{
		{},
		{Connections: 7},
		{Connections: 5, Batch: 16},
		{Connections: 9, Reconnect: true},
		{Reconnect: true},
		{Connections: 9, Threads: 4},
		{Connections: 9, Rate: 20_000},
		{Connections: 9, Rate: 20_000, Reconnect: true},
		{Connections: 3, Rate: 20_000, Threads: 2},
	} {
		const count = 1003
		tt.Count = count
		tt.Requests = requests(10)
		t.Run(fmt.Sprintf("%d connections, batch %d, rate %v, reconnect %t", tt.Connections, tt.Batch, tt.Rate, tt.Reconnect), func(t *testing.T) {
			drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
				s := newServer(t, ok)
				tt.Socket = s.path
				r, err := run(tt)
				if err != nil {
					t.Fatal(err)
				}
				if s.asked.Load() != count || r.Replies != count || r.Latency.Count() != count || r.Failed() != 0 {
					t.Errorf("asked %d, replies %d, latencies %d, failed %d", s.asked.Load(), r.Replies, r.Latency.Count(), r.Failed())
				}
				connections := int64(max(tt.Connections, 1))
				if tt.Reconnect {
					connections = count
				}
				if got := s.accepted.Load(); got != connections {
					t.Errorf("%d connections, want %d", got, connections)
				}
				names := 0
				s.names.Range(func(any, any) bool { names++; return true })
				if names != 10 || r.Elapsed <= 0 || r.Latency.Max() > r.Elapsed {
					t.Errorf("%d names, %v, max %v", names, r.Elapsed, r.Latency.Max())
				}
			})
		})
	}
}

// TestRefusals holds that refusals are counted by their code, and lost connections made anew.
func TestRefusals(t *testing.T) {
	drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
		s := newServer(t, func(n int64, _ string) string {
			switch {
			case n%50 == 0:
				return ""
			case n%2 == 1:
				return "ERR NOT_FOUND - no such credential\n"
			}
			return ok(0, "")
		})
		r, err := run(Plan{Socket: s.path, Requests: requests(3), Connections: 4, Count: 200})
		if err != nil {
			t.Fatal(err)
		}
		if r.Replies != 196 || r.Lost != 4 || r.Refused["NOT_FOUND"] != 100 || r.Failed() != 104 {
			t.Errorf("got %d replies, %d lost, refused %v", r.Replies, r.Lost, r.Refused)
		}
	})
}

// TestStall holds that in an open loop a server which stands still once shows in the latency of all
// that was due meanwhile, and not only of what had been sent.
func TestStall(t *testing.T) {
	drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
		const stall, rate = 200 * time.Millisecond, 1000.0
		var mu sync.Mutex
		s := newServer(t, func(n int64, _ string) string {
			mu.Lock()
			defer mu.Unlock()
			if n == 100 {
				time.Sleep(stall)
			}
			return ok(0, "")
		})
		r, err := run(Plan{Socket: s.path, Requests: requests(1), Connections: 2, Count: 400, Rate: rate})
		if err != nil {
			t.Fatal(err)
		}
		// 200 were due while it stood still, the first half of them for more than
		// half of it; a closed loop would have seen two.
		if got := r.Latency.Quantile(0.80); got < stall/2-20*time.Millisecond {
			t.Errorf("p80 is %v", got)
		}
		if r.Latency.Max() < stall {
			t.Errorf("max is %v", r.Latency.Max())
		}
	})
}

// TestDuration holds that a run ends by time, and that what came in the warm-up is not counted.
func TestDuration(t *testing.T) {
	for _, rate := range []float64{0, 5000} {
		drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
			s := newServer(t, ok)
			r, err := run(Plan{Socket: s.path, Requests: requests(1), Connections: 3, Duration: 100 * time.Millisecond, WarmUp: 100 * time.Millisecond, Rate: rate})
			if err != nil {
				t.Fatal(err)
			}
			if asked := s.asked.Load(); r.Replies == 0 || r.Replies >= asked || r.Latency.Count() != r.Replies {
				t.Errorf("%d were asked, %d counted", asked, r.Replies)
			}
			if r.Elapsed <= 0 || rate > 0 && s.asked.Load() > 1000 {
				t.Errorf("%v, %d were asked", r.Elapsed, s.asked.Load())
			}
		})
	}
}

// TestSlowServer holds that a rate which is never reached ends all the same.
func TestSlowServer(t *testing.T) {
	if !haveLoop {
		t.Skip("goroutines send what was due however late")
	}
	s := newServer(t, func(int64, string) string {
		time.Sleep(time.Millisecond)
		return ok(0, "")
	})
	r, err := Run(t.Context(), Plan{Socket: s.path, Requests: requests(1), Duration: 50 * time.Millisecond, Rate: 1e6, Timeout: 50 * time.Millisecond})
	if err != nil && !errors.Is(err, ErrTimeout) { // a busy machine may make a millisecond fifty
		t.Fatal(err)
	}
	if err == nil && (r.Unsent < 40_000 || r.Failed() != r.Unsent) {
		t.Errorf("%d were not sent", r.Unsent)
	}
}

func TestErrors(t *testing.T) {
	drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
		for _, tt := range []struct {
			name   string
			answer func(int64, string) string
			want   error
		}{
			{"silence", func(int64, string) string { return silence }, ErrTimeout},
			{"another language", func(int64, string) string { return "-ERR unknown command\r\n" }, ErrForeign},
		} {
			for _, connections := range []int{1, 3} {
				s := newServer(t, tt.answer)
				_, err := run(Plan{Socket: s.path, Requests: requests(1), Connections: connections, Count: 10, Timeout: 50 * time.Millisecond})
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: got %v", tt.name, err)
				}
			}
		}
		for _, reconnect := range []bool{false, true} {
			_, err := run(Plan{Socket: filepath.Join(t.TempDir(), "s"), Requests: requests(1), Count: 1, Reconnect: reconnect})
			if !errors.Is(err, ErrConnect) || !errors.Is(err, os.ErrNotExist) {
				t.Errorf("no server: got %v", err)
			}
		}
	})
}

// TestCancel holds that a run ends with its context, with what it has.
func TestCancel(t *testing.T) {
	for _, portable := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, func(n int64, _ string) string {
			if n == 100 {
				cancel()
			}
			return ok(0, "")
		})
		r, err := Run(ctx, Plan{Socket: s.path, Requests: requests(1), Connections: 3, Duration: time.Hour, Portable: portable})
		if err != nil || r.Replies < 90 {
			t.Errorf("portable %t: got %d replies, %v", portable, r.Replies, err)
		}
		cancel()
	}
}

func TestCheck(t *testing.T) {
	some := requests(1)
	for _, tt := range []struct {
		plan Plan
		want string
	}{
		{Plan{Count: 1}, "nothing to ask"},
		{Plan{Requests: some}, "either"},
		{Plan{Requests: some, Count: 1, Duration: 1}, "either"},
		{Plan{Requests: some, Count: 1, WarmUp: 1}, "warm-up"},
		{Plan{Requests: some, Count: 1, Connections: MaxConnections + 1}, "connections at most"},
		{Plan{Requests: some, Count: 1, Threads: 2}, "each thread"},
		{Plan{Requests: some, Count: 1, Batch: 2, Reconnect: true}, "pipeline"},
		{Plan{Requests: some, Count: 1, Batch: 2, Rate: 1}, "pipeline"},
		{Plan{Requests: some, Count: 1, Batch: 5000}, "at once"},
		{Plan{Requests: some, Count: 1, Rate: -1}, "rate"},
	} {
		if err := tt.plan.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v", tt.plan, err)
		}
	}
}

// TestPace holds that requests become due at the rate, without drift.
func TestPace(t *testing.T) {
	for _, rate := range []float64{1, 3, 7000, 20_000, 123_456.7} {
		p := newPace(rate, 0)
		var last time.Duration
		n := int(rate * 10)
		for range n + 1 {
			last = p.advance()
		}
		if want := time.Duration(float64(n) / rate * 1e9); (last - want).Abs() > time.Microsecond {
			t.Errorf("%v a second: request %d is due at %v, want %v", rate, n, last, want)
		}
	}
}
