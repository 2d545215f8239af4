//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokend/benchmarks/rig"
)

// The bounds of reads beside other work.
const (
	mostRatio, aimRatio = 5, 3   // p99 of disturbed reads to p99 of calm reads
	mostPause, aimPause = 20, 10 // the slowest read, in milliseconds
)

// daemon is a running daemon of one side.
type daemon struct {
	*rig.Process
	state   *rig.State
	monitor string // the address of its HTTP listener, "" for none
}

// world describes the accounts of a daemon.
type world struct {
	customers int  // each with a token and a grant
	accounts  int  // official accounts, each with a token
	listed    int  // customers that only WeChat knows
	http      bool // whether metrics are served
}

// launch starts a daemon of each side, each with its own state.
func (l *load) launch(ctx context.Context, name string, w world) (all []daemon, stop func(), err error) {
	stop = func() {
		for _, d := range all {
			d.Stop()
			d.state.Close()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	for _, s := range l.sides {
		d, err := l.start(ctx, s, name+"-"+s.name, w)
		if err != nil {
			return all, stop, fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, d)
	}
	return all, stop, nil
}

func (l *load) start(ctx context.Context, s side, name string, w world) (d daemon, err error) {
	upstream := ""
	if w.listed > 0 {
		if upstream, err = rig.FreeAddress(); err != nil {
			return d, err
		}
	}
	d.state, err = l.NewState(ctx, name, w.customers, upstream, "-accounts", fmt.Sprint(w.accounts), "-listed", fmt.Sprint(w.listed))
	if err != nil {
		return d, err
	}
	if w.http {
		if d.monitor, err = rig.FreeAddress(); err == nil {
			err = d.state.Open(fmt.Sprintf("\n[pages]\nlisten = %q\n", d.monitor))
		}
	}
	if err == nil {
		d.Process, err = rig.ServeBy(s.program, d.state)
	}
	if err != nil {
		d.state.Close()
	}
	return d, err
}

// disturbance sends requests to d until ctx ends, and returns their number.
type disturbance func(ctx context.Context, d daemon) (times int, err error)

// reads are the reads of one side, with one shot per round.
type reads struct {
	calm, busy []rig.Shot
	times      int // number of disturbing requests
}

// ratio returns the ratio of p99, disturbed to calm, each the median of the rounds. The median of
// the rounds' ratios would vary more, since some calm rounds are disturbed by other programs.
func (r *reads) ratio() float64 { return middle(r.busy, p99) / middle(r.calm, p99) }

// quiet is ratio for the quietest quarter of the rounds.
func (r *reads) quiet() float64 { return low(r.busy, p99) / low(r.calm, p99) }

// middle returns the median of a figure, low its lower quartile, and worst its maximum.
func middle(shots []rig.Shot, of func(rig.Shot) float64) float64 {
	return rig.Median(figures(shots, of))
}

func low(shots []rig.Shot, of func(rig.Shot) float64) float64 {
	all := figures(shots, of)
	slices.Sort(all)
	return all[len(all)/4]
}

func worst(shots []rig.Shot, of func(rig.Shot) float64) float64 {
	return slices.Max(figures(shots, of))
}

func figures(shots []rig.Shot, of func(rig.Shot) float64) (all []float64) {
	for _, s := range shots {
		all = append(all, of(s))
	}
	return all
}

func p50(s rig.Shot) float64       { return s.P50 }
func p99(s rig.Shot) float64       { return s.P99 }
func longestMS(s rig.Shot) float64 { return s.Max / 1000 }

// beside measures reads of each side's daemon, alternately with and without disturb, and adds the
// rows of what.
func (l *load) beside(ctx context.Context, name, what string, w world, disturb disturbance) error {
	all, stop, err := l.launch(ctx, name, w)
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	sides := make([]reads, len(all))
	for round := range l.rounds {
		for i := range all {
			at := (i + round) % len(all)
			if err := l.round(ctx, all[at], &sides[at], disturb); err != nil {
				return fmt.Errorf("%s: %w", l.sides[at].name, err)
			}
		}
	}
	l.report(what, sides)
	return nil
}

const (
	// settle is the pause after the start of a daemon.
	settle = 2 * time.Second

	// warmUp is the time of reads that are not counted. begins is the time from the start of the
	// reads' generator to the disturbance, so that the whole disturbance is counted.
	warmUp, begins = 400 * time.Millisecond, 600 * time.Millisecond
)

// round takes a calm and a disturbed shot of d.
func (l *load) round(ctx context.Context, d daemon, r *reads, disturb disturbance) error {
	calm, err := l.shot(ctx, d)
	if err != nil {
		return err
	}
	disturbed, end := context.WithCancel(ctx)
	type outcome struct {
		times int
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		select {
		case <-time.After(begins):
		case <-disturbed.Done():
		}
		times, err := disturb(disturbed, d)
		if disturbed.Err() != nil {
			err = nil // caused by the end of ctx
		}
		done <- outcome{times, err}
	}()
	busy, err := l.shot(ctx, d)
	end()
	o := <-done
	if err := errors.Join(err, o.err); err != nil {
		return err
	}
	r.calm, r.busy, r.times = append(r.calm, calm), append(r.busy, busy), r.times+o.times
	return nil
}

// shot measures reads for a few seconds.
func (l *load) shot(ctx context.Context, d daemon) (rig.Shot, error) {
	s, err := l.Shoot(ctx, d.Process, d.state, "tokend", "--connections", "50", "--rate", "20000", "--timeout", "30s",
		"--warm-up", warmUp.String(), "--seconds", l.seconds)
	if err == nil && s.Failed > 0 {
		err = fmt.Errorf("%d of %d reads failed", s.Failed, s.Count)
	}
	return s, err
}

// report adds the rows.
func (l *load) report(what string, sides []reads) {
	var ratios, pauses []string
	for i := range sides {
		r, name := &sides[i], l.sides[i].name
		ratios = append(ratios, fmt.Sprintf("%s %.1fx: p50 %.0f us, p99 %.0f us, calm %.0f and %.0f us; quietest quarter %.1fx: p99 %.0f us, calm %.0f us; %d times",
			name, r.ratio(), middle(r.busy, p50), middle(r.busy, p99), middle(r.calm, p50), middle(r.calm, p99),
			r.quiet(), low(r.busy, p99), low(r.calm, p99), r.times))
		pauses = append(pauses, fmt.Sprintf("%s %.1f ms, median of rounds %.1f, calm %.1f ms",
			name, worst(r.busy, longestMS), middle(r.busy, longestMS), worst(r.calm, longestMS)))
	}
	l.Rows.AtMost("p99 of reads, "+what, sides[0].ratio(), mostRatio, aimRatio, "x", strings.Join(ratios, "; "))
	l.Rows.AtMost("longest pause, "+what, worst(sides[0].busy, longestMS), mostPause, aimPause, " ms", strings.Join(pauses, "; "))
}
