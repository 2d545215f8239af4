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

// server is a test server with tokend's protocol.
type server struct {
	path     string
	asked    atomic.Int64
	accepted atomic.Int64
	names    sync.Map
}

// silence means no reply.
const silence = "silence"

// newServer replies to each line with the result of answer; "" closes the connection.
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

// drivers runs a test with the loop, where available, and with goroutines.
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

// TestCount holds that exactly Count requests are sent with any form of load, and that every reply
// is counted.
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

// TestRefusals holds that errors are counted by code, and that lost connections are reopened.
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

// TestStall holds that in an open loop a stall of the server shows in the latency of all requests
// due in that time, not only of those that had been sent.
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
		// 200 requests were due during the stall, the first half of them for more than half of it.
		// A closed loop would have counted two.
		if got := r.Latency.Quantile(0.80); got < stall/2-20*time.Millisecond {
			t.Errorf("p80 is %v", got)
		}
		if r.Latency.Max() < stall {
			t.Errorf("max is %v", r.Latency.Max())
		}
	})
}

// TestDuration holds that a run ends by time, and that the warm-up is not counted.
func TestDuration(t *testing.T) {
	for _, rate := range []float64{0, 5000} {
		drivers(t, func(t *testing.T, run func(Plan) (*Result, error)) {
			s := newServer(t, ok)
			r, err := run(Plan{Socket: s.path, Requests: requests(1), Connections: 3, Duration: 100 * time.Millisecond, WarmUp: 100 * time.Millisecond, Rate: rate})
			if err != nil {
				t.Fatal(err)
			}
			if asked := s.asked.Load(); r.Replies == 0 || r.Replies >= asked || r.Latency.Count() != r.Replies {
				t.Errorf("%d were sent, %d counted", asked, r.Replies)
			}
			if r.Elapsed <= 0 || rate > 0 && s.asked.Load() > 1000 {
				t.Errorf("%v, %d were sent", r.Elapsed, s.asked.Load())
			}
		})
	}
}

// TestSlowServer holds that a run ends even if the server never reaches the rate.
func TestSlowServer(t *testing.T) {
	if !haveLoop {
		t.Skip("goroutines send late requests")
	}
	s := newServer(t, func(int64, string) string {
		time.Sleep(time.Millisecond)
		return ok(0, "")
	})
	r, err := Run(t.Context(), Plan{Socket: s.path, Requests: requests(1), Duration: 50 * time.Millisecond, Rate: 1e6, Timeout: 50 * time.Millisecond})
	if err != nil && !errors.Is(err, ErrTimeout) { // on a busy machine a millisecond may become fifty
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

// TestCancel holds that a run ends with its context and returns its results so far.
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
		{Plan{Count: 1}, "no requests"},
		{Plan{Requests: some}, "either"},
		{Plan{Requests: some, Count: 1, Duration: 1}, "either"},
		{Plan{Requests: some, Count: 1, WarmUp: 1}, "warm-up"},
		{Plan{Requests: some, Count: 1, Connections: MaxConnections + 1}, "connections are possible"},
		{Plan{Requests: some, Count: 1, Threads: 2}, "each thread"},
		{Plan{Requests: some, Count: 1, Batch: 2, Reconnect: true}, "excludes pipelining"},
		{Plan{Requests: some, Count: 1, Batch: 2, Rate: 1}, "excludes pipelining"},
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
			t.Errorf("%v per second: request %d is due at %v, want %v", rate, n, last, want)
		}
	}
}
