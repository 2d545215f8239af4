//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// openLoop is the load of the parts below: 20 000 a second, whatever happens.
func openLoop(seconds int) []string {
	return []string{"--connections", "50", "--rate", "20000", "--warm-up", "1s", "--timeout", "30s", "--seconds", fmt.Sprint(seconds)}
}

// tokenPath is what refreshes of customers' tokens ask.
const tokenPath = "/cgi-bin/component/api_authorizer_token"

// million compares the latency of reads over many credentials with that over few. Their ends are spread
// so that some are due all the time, ten minutes before their end, and none ends meanwhile.
func (c *comparison) million(ctx context.Context) error {
	large := pick(c, 1_000_000, 100_000)
	var servers [2]*process
	var states [2]*state
	var calls [2]int64
	for i, n := range []int{10_000, large} {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		s, err := c.newState(ctx, fmt.Sprintf("many%d", n), n, address, "-due", "9m", "-over", "100m")
		if err != nil {
			return err
		}
		defer s.close()
		states[i] = s
		if servers[i], err = c.serve(s); err != nil {
			return err
		}
		defer servers[i].stop()
	}
	time.Sleep(settle)
	if !c.quick { // else the memory part has as many
		private, _ := servers[1].memory()
		c.data.Credentials = append(c.data.Credentials, cost{"tokend", large, float64(private), ms(servers[1].took)})
	}
	var ratios, few, many, ratios999 []float64
	for range pick(c, 3, 2) {
		var got [2]shot
		for i := range servers {
			before := upstreamCalls(servers[i].socket)
			var err error
			if got[i], err = c.shoot(ctx, servers[i], states[i], "tokend", nil, openLoop(pick(c, 8, 4))...); err != nil {
				return err
			}
			calls[i] += upstreamCalls(servers[i].socket) - before
		}
		few, many = append(few, got[0].P99), append(many, got[1].P99)
		ratios, ratios999 = append(ratios, got[1].P99/got[0].P99), append(ratios999, got[1].P999/got[0].P999)
	}
	c.rows.atMost(fmt.Sprintf("p99 with %d credentials against 10000", large), median(ratios), 2, 1.2, "x",
		fmt.Sprintf("20 000/s, open loop: %.0f us against %.0f us; p99.9 %.2fx; %d and %d refreshes meanwhile", median(many), median(few), median(ratios999), calls[1], calls[0]))
	return nil
}

// outage has WeChat stand still while 10 000 credentials are due within a minute, then come back, and
// compares the latency of reads meanwhile with that before.
func (c *comparison) outage(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	// They are due already. After a start nobody counts as having asked for them: the engine looks again after half of
	// what each has left, and by then the load has asked for all.
	s, err := c.newState(ctx, "outage", 10_000, address, "-due", "40s", "-over", "1m")
	if err != nil {
		return err
	}
	defer s.close()
	calm, err := c.newState(ctx, "calm", 10_000, "")
	if err != nil {
		return err
	}
	defer calm.close()
	quiet, err := c.serve(calm)
	if err != nil {
		return err
	}
	before, err := c.shoot(ctx, quiet, calm, "tokend", nil, openLoop(5)...)
	quiet.stop()
	if err != nil {
		return err
	}
	if err := s.upstream.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p, err := c.serve(s)
	if err != nil {
		return err
	}
	defer p.stop()
	out, span := pick(c, 12, 6), pick(c, 90, 45)
	watch := newWatch(p.socket, address)
	back := time.AfterFunc(time.Duration(out)*time.Second, func() { _ = s.upstream.Process.Signal(syscall.SIGCONT) })
	during, err := c.shoot(ctx, p, s, "tokend", nil, openLoop(span)...)
	back.Stop()
	watch.stop()
	if err != nil {
		return err
	}
	c.rows.atMost("10 000 due in a minute after an outage: p99 of reads", during.P99/before.P99, 2, 1.2, "x",
		fmt.Sprintf("%.0f us, calm %.0f us; %d read, %d refused", during.P99, before.P99, during.Count, during.Failed))
	// What the engine allows itself: 32 calls at once, and 8 of them by its schedule.
	c.rows.atMost("the same: calls upstream at once", float64(watch.connections), 32, 8, "",
		fmt.Sprintf("%d s without WeChat, then %d calls for 10 000, at most %d a second", out, watch.total, watch.fastest))
	return nil
}

// upstreamCalls asks a daemon how often it has called for customers' tokens; 0 where it does not say.
func upstreamCalls(socket string) (n int64) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return 0
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := nc.Write([]byte("STATS\nQUIT\n")); err != nil {
		return 0
	}
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "calls:"+tokenPath+" "); ok {
			n, _ = strconv.ParseInt(text, 10, 64)
		}
	}
	return n
}

// watch looks, four times a second, at how fast a daemon calls upstream.
type watch struct {
	running sync.WaitGroup
	ended   chan struct{}

	// Good once stop has returned.
	total, fastest int64
	connections    int
}

func newWatch(socket, upstream string) *watch {
	w := &watch{ended: make(chan struct{})}
	first := upstreamCalls(socket)
	w.running.Go(func() {
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		var last [4]int64 // the count of a second ago, in turn
		for i := range last {
			last[i] = first
		}
		for i := 0; ; i++ {
			select {
			case <-ticker.C:
			case <-w.ended:
				return
			}
			n := upstreamCalls(socket)
			w.fastest = max(w.fastest, n-last[i%len(last)])
			last[i%len(last)] = n
			w.total = n - first
			w.connections = max(w.connections, connectionsTo(upstream))
		}
	})
	return w
}

func (w *watch) stop() {
	close(w.ended)
	w.running.Wait()
}

// connectionsTo counts the established TCP connections to an address of this host.
func connectionsTo(address string) (n int) {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	remote, err := hexAddress(address)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		// sl, local, remote, state (proc(5)); 01 is ESTABLISHED.
		if fields := strings.Fields(line); len(fields) > 3 && fields[2] == remote && fields[3] == "01" {
			n++
		}
	}
	return n
}

// hexAddress writes an IPv4 address as /proc/net/tcp does.
func hexAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	ip := net.ParseIP(host).To4()
	n, err := strconv.ParseUint(port, 10, 16)
	if ip == nil || err != nil {
		return "", errors.New("no IPv4 address with a port")
	}
	return strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})) + fmt.Sprintf(":%04X", n), nil
}
