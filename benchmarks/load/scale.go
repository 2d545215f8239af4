//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tokend/benchmarks/rig"
)

// few and many are the numbers of accounts of two daemons. A reload of many should take little more
// than three times the processor time of a reload of few.
const (
	few, many           = 10_000, 30_000
	mostScale, aimScale = 3.3, 3.1
)

// reloaded is the processor time and the wall clock time of reloads.
type reloaded struct{ used, took []time.Duration }

func (r *reloaded) reload(ctx context.Context, d daemon) error {
	used, began := d.CPU(), time.Now()
	if err := reloadOnce(ctx, d); err != nil {
		return err
	}
	r.used, r.took = append(r.used, d.CPU()-used), append(r.took, time.Since(began))
	return nil
}

// typical returns the median, in milliseconds. The minimum would be a reload without a garbage
// collection, and a reload usually has one.
func typical(of []time.Duration) float64 {
	all := make([]float64, len(of))
	for i, d := range of {
		all[i] = float64(d) / float64(time.Millisecond)
	}
	return rig.Median(all)
}

// scale reloads few and many accounts alternately.
func (l *load) scale(ctx context.Context) error {
	smaller, stop, err := l.launch(ctx, "few", world{accounts: few})
	if err != nil {
		return err
	}
	defer stop()
	larger, stop, err := l.launch(ctx, "many", world{accounts: many})
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	ratios, notes := make([]float64, len(l.sides)), make([]string, len(l.sides))
	for i, side := range l.sides {
		var short, long reloaded
		for range 4 * l.rounds {
			if err := short.reload(ctx, smaller[i]); err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
			if err := long.reload(ctx, larger[i]); err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
		}
		ratios[i] = typical(long.used) / typical(short.used)
		notes[i] = fmt.Sprintf("%s %.1fx: %.0f and %.0f ms, %.0f and %.0f ms on the clock", side.name, ratios[i],
			typical(long.used), typical(short.used), typical(long.took), typical(short.took))
	}
	l.Rows.AtMost(fmt.Sprintf("processor time of a reload, %d accounts to %d", many, few), ratios[0], mostScale, aimScale, "x", strings.Join(notes, "; "))
	return nil
}
