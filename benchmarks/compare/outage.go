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
	// crowd is how many credentials are due at once.
	crowd = 10_000

	// The first of them ends this long after they were written, and the last one so much later.
	// After a start nobody counts as having asked for them: the engine looks again after half of
	// what each has left, and by then the load has asked for all. So they are due 20 to 50 s after
	// the start, with 20 to 50 s left.
	outageDue, outageOver = 40 * time.Second, time.Minute

	// outageLasts is how long after the start WeChat is back: some have been tried in vain by then.
	outageLasts = 24 * time.Second

	// outageLooks is how long is looked on, unless all have been refreshed before: until the end of
	// the last one, had it not been. The engine goes no faster than it must.
	outageLooks = 105 * time.Second

	// outageWindow is over how long latency is taken at a time.
	outageWindow = 5 * time.Second

	// outageBusy is how many refreshes make a window one of those while refreshes go on: less than
	// half of what the engine's slowest pace would make in it.
	outageBusy = 100
)

// outage has WeChat stand still while 10 000 credentials are due within a minute, then come back.
// It compares the latency of reads meanwhile with that before, and counts the calls, those that
// were refreshed, and those that had ended before.
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
		fmt.Sprintf("%d had ended before; %.0f s without WeChat, %d calls in all, at most %d within a second", ended, outageLasts.Seconds(), calls.Total, calls.Fastest))
	// What the engine allows itself: 32 calls at once, and 24 of them by its schedule when it is in
	// a hurry.
	c.Rows.AtMost("the same: calls upstream at once", float64(calls.AtOnce), 32, 24, "", "as WeChat has counted them")
	return nil
}

// shots is the latency of reads over some time: of each window that counts, the median and the
// worst.
type shots struct {
	windows       int
	p99, worst    float64
	read, refused int64 // in all
}

// shots reads for so long, or until all have been refreshed, of which told knows; only windows in
// which some were count then. Without it every window counts.
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
		return all, errors.New("nothing was refreshed while latency was taken")
	}
	all.windows, all.worst = len(windows), slices.Max(windows)
	all.p99 = rig.Median(windows)
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

	refreshed atomic.Int64 // how many of fresh there are
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
		f.refreshed.Store(int64(len(f.fresh)))
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
