//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokend/benchmarks/rig"
)

const (
	// crowd is the number of credentials that are due at once.
	crowd = 10_000

	// The first credential expires outageDue after the write, the last one outageOver later. After
	// a start no credential counts as used, and the engine looks again after half of the remaining
	// lifetime, when the load has read all of them. So refreshes are due 20 to 50 s after the
	// start, with 20 to 50 s left.
	outageDue, outageOver = 40 * time.Second, time.Minute

	// outageLasts is when WeChat is back after the start. Some refreshes have failed by then.
	outageLasts = 24 * time.Second

	// outageLooks is the limit for the observation: until the last value would expire. It ends
	// earlier when all values have been refreshed. The engine is no faster than necessary.
	outageLooks = 105 * time.Second

	// outageWindow is the length of a latency window.
	outageWindow = 5 * time.Second

	// outageBusy is the minimum number of refreshes in a counted window: less than half of what the
	// engine's slowest pace would make.
	outageBusy = 100
)

// outage stops WeChat while 10 000 credentials become due within a minute, then starts it again. It
// compares the latency of reads with the latency before, and counts calls, refreshed values, and
// values that expired first.
func (c *comparison) outage(ctx context.Context) error {
	calm, err := c.NewState(ctx, "calm", crowd, "")
	if err != nil {
		return err
	}
	defer calm.Close()
	quiet, err := c.Serve(calm)
	if err != nil {
		return err
	}
	before, err := c.shots(ctx, quiet, calm, 4*outageWindow, nil)
	quiet.Stop()
	if err != nil {
		return err
	}
	address, err := rig.FreeAddress()
	if err != nil {
		return err
	}
	s, err := c.NewState(ctx, "outage", crowd, address, "-due", outageDue.String(), "-over", outageOver.String())
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Upstream.Process.Signal(rig.Away); err != nil {
		return err
	}
	p, err := c.Serve(s)
	if err != nil {
		return err
	}
	defer p.Stop()
	told, err := follow(p.Socket, platformPrefix)
	if err != nil {
		return err
	}
	ends := time.AfterFunc(outageLasts, func() { _ = s.Upstream.Process.Signal(rig.Back) })
	during, err := c.shots(ctx, p, s, outageLooks, told)
	ends.Stop()
	refreshed, ended := told.stop()
	if err != nil {
		return err
	}
	calls, err := s.Metered()
	if err != nil {
		return err
	}
	c.Rows.AtMost("10 000 due in a minute after an outage: p99 of reads", during.p99/before.p99, 2, 1.2, "x",
		fmt.Sprintf("%.0f us, calm %.0f us: medians of windows of %s, of the %d in which there were refreshes; in the worst %.0f and %.0f us; %d read, %d refused",
			during.p99, before.p99, outageWindow, during.windows, during.worst, before.worst, during.read, during.refused))
	c.Rows.AtLeast("the same: refreshed", float64(refreshed), crowd, crowd, "",
		fmt.Sprintf("%d expired first; %.0f s without WeChat, %d calls in all, at most %d within a second", ended, outageLasts.Seconds(), calls.Total, calls.Fastest))
	// The engine's limits: 32 concurrent calls, of which 24 by its schedule when many values are
	// about to expire.
	c.Rows.AtMost("the same: calls upstream at once", float64(calls.AtOnce), 32, 24, "", "counted by WeChat")
	return nil
}

// shots is the latency of reads over some time: the median and the worst of the counted windows.
type shots struct {
	windows       int
	p99, worst    float64
	read, refused int64 // in all
}

// shots reads for span, or until told reports that all values have been refreshed. With told, only
// windows with enough refreshes count.
func (c *comparison) shots(ctx context.Context, p *rig.Process, s *rig.State, span time.Duration, told *follower) (all shots, err error) {
	var windows []float64
	for end := time.Now().Add(span); time.Now().Before(end) && (told == nil || told.refreshed.Load() < crowd); {
		var before int64
		if told != nil {
			before = told.refreshed.Load()
		}
		one, err := c.Shoot(ctx, p, s, "tokend", openLoop(int(outageWindow/time.Second))...)
		if err != nil {
			return all, err
		}
		all.read, all.refused = all.read+one.Count, all.refused+one.Failed
		if told == nil || told.refreshed.Load()-before >= outageBusy {
			windows = append(windows, one.P99)
		}
	}
	if len(windows) == 0 {
		return all, errors.New("no value was refreshed while latency was measured")
	}
	all.windows, all.worst = len(windows), slices.Max(windows)
	all.p99 = rig.Median(windows)
	return all, nil
}

// platformPrefix is the prefix of the names of benchmarks/fill.
const platformPrefix = "open_platform/"

// follower watches access tokens by WATCH.
type follower struct {
	nc      net.Conn
	running sync.WaitGroup
	fresh   map[string]bool // refreshed names
	expired map[string]bool // expired names

	refreshed atomic.Int64 // length of fresh
}

// follow watches the names under prefix. It returns when the first list has arrived.
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
			return errors.Join(errors.New("the list of WATCH is incomplete"), lines.Err())
		}
	}
	return nil
}

// note records a change.
func (f *follower) note(line string) {
	fields := strings.Fields(line)
	if len(fields) < 3 || !strings.HasSuffix(fields[1], "/access_token") {
		return
	}
	switch fields[2] {
	case "fresh":
		f.fresh[fields[1]] = true
		f.refreshed.Store(int64(len(f.fresh)))
	case "expired":
		f.expired[fields[1]] = true
	}
}

// stop ends the watch and returns the number of refreshed and of expired names.
func (f *follower) stop() (refreshed, ended int) {
	_ = f.nc.Close()
	f.running.Wait()
	return len(f.fresh), len(f.expired)
}
