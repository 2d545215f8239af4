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
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// crowd is how many credentials are due at once.
	crowd = 10_000

	// The first of them ends this long after they were written, and the last one so much later. After a start nobody
	// counts as having asked for them: the engine looks again after half of what each has left, and by then the load
	// has asked for all. So they are due 20 to 50 s after the start, with 20 to 50 s left.
	outageDue, outageOver = 40 * time.Second, time.Minute

	// outageLasts is how long after the start WeChat is back: some have been tried in vain by then.
	outageLasts = 24 * time.Second

	// outageLooks is how long is looked on: until the end of the last one, had it not been refreshed. The engine goes
	// no faster than it must.
	outageLooks = 105 * time.Second

	// outageWindow is over how long latency is taken at a time.
	outageWindow = 5 * time.Second
)

// outage has WeChat stand still while 10 000 credentials are due within a minute, then come back. It compares
// the latency of reads meanwhile with that before, and counts the calls, those that were refreshed, and those
// that had ended before.
func (c *comparison) outage(ctx context.Context) error {
	calm, err := c.newState(ctx, "calm", crowd, "")
	if err != nil {
		return err
	}
	defer calm.close()
	quiet, err := c.serve(calm)
	if err != nil {
		return err
	}
	before, err := c.shots(ctx, quiet, calm, 4*outageWindow)
	quiet.stop()
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s, err := c.newState(ctx, "outage", crowd, address, "-due", outageDue.String(), "-over", outageOver.String())
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.upstream.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p, err := c.serve(s)
	if err != nil {
		return err
	}
	defer p.stop()
	told, err := follow(p.socket, platformPrefix)
	if err != nil {
		return err
	}
	watch := newWatch(p.socket, address)
	back := time.AfterFunc(outageLasts, func() { _ = s.upstream.Process.Signal(syscall.SIGCONT) })
	during, err := c.shots(ctx, p, s, outageLooks)
	back.Stop()
	watch.stop()
	refreshed, ended := told.stop()
	if err != nil {
		return err
	}
	c.rows.atMost("10 000 due in a minute after an outage: p99 of reads", during.p99/before.p99, 2, 1.2, "x",
		fmt.Sprintf("%.0f us, calm %.0f us: medians of windows of %s; in the worst %.0f and %.0f us; %d read, %d refused",
			during.p99, before.p99, outageWindow, during.worst, before.worst, during.read, during.refused))
	c.rows.atLeast("the same: refreshed", float64(refreshed), crowd, crowd, "",
		fmt.Sprintf("%d had ended before; %.0f s without WeChat, then %d calls in all, at most %d a second", ended, outageLasts.Seconds(), watch.total, watch.fastest))
	// What the engine allows itself: 32 calls at once, and 24 of them by its schedule when it is in a hurry.
	c.rows.atMost("the same: calls upstream at once", float64(watch.connections), 32, 24, "", "connections to WeChat")
	return nil
}

// shots is the latency of reads over some time: of each window, the median and the worst.
type shots struct {
	p99, worst    float64
	read, refused int64
}

// shots reads for so long.
func (c *comparison) shots(ctx context.Context, p *process, s *state, span time.Duration) (all shots, err error) {
	var windows []float64
	for end := time.Now().Add(span); time.Now().Before(end); {
		one, err := c.shoot(ctx, p, s, "tokend", nil, openLoop(int(outageWindow/time.Second))...)
		if err != nil {
			return all, err
		}
		windows = append(windows, one.P99)
		all.read, all.refused = all.read+one.Count, all.refused+one.Failed
	}
	all.p99 = median(windows)
	all.worst = slices.Max(windows)
	return all, nil
}

// platformPrefix is how the names of benchmarks/fill begin.
const platformPrefix = "open_platform/"

// follower is a WATCH of access tokens.
type follower struct {
	nc      net.Conn
	running sync.WaitGroup
	fresh   map[string]bool // which have been refreshed
	expired map[string]bool // which have ended
}

// follow watches what is under prefix, and returns when the list with which that begins has come.
func follow(socket, prefix string) (*follower, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	f := &follower{nc: nc, fresh: map[string]bool{}, expired: map[string]bool{}}
	lines := bufio.NewScanner(nc)
	if err := f.begin(lines, prefix); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	f.running.Go(func() {
		for lines.Scan() {
			f.note(lines.Text())
		}
	})
	return f, nil
}

func (f *follower) begin(lines *bufio.Scanner, prefix string) error {
	if _, err := fmt.Fprintf(f.nc, "WATCH %s\n", prefix); err != nil {
		return err
	}
	if !lines.Scan() {
		return errors.Join(errors.New("WATCH was not answered"), lines.Err())
	}
	text, ok := strings.CutPrefix(lines.Text(), "OK ")
	n, err := strconv.Atoi(text)
	if !ok || err != nil {
		return fmt.Errorf("WATCH was answered %q", lines.Text())
	}
	for range n {
		if !lines.Scan() {
			return errors.Join(errors.New("the list of WATCH is not whole"), lines.Err())
		}
	}
	return nil
}

// note takes note of a change.
func (f *follower) note(line string) {
	fields := strings.Fields(line)
	if len(fields) < 3 || !strings.HasSuffix(fields[1], "/access_token") {
		return
	}
	switch fields[2] {
	case "fresh":
		f.fresh[fields[1]] = true
	case "expired":
		f.expired[fields[1]] = true
	}
}

// stop ends the watch and returns how many have been refreshed, and how many had ended.
func (f *follower) stop() (refreshed, ended int) {
	_ = f.nc.Close()
	f.running.Wait()
	return len(f.fresh), len(f.expired)
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
