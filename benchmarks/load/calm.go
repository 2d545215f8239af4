//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"tokend/benchmarks/rig"
)

// calm measures reads of daemons that do no other work.
func (l *load) calm(ctx context.Context) error {
	all, stop, err := l.launch(ctx, "calm", world{customers: 10_000})
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	shots := make([][]rig.Shot, len(all))
	for range l.rounds {
		for i, d := range all {
			s, err := l.shot(ctx, d)
			if err != nil {
				return err
			}
			shots[i] = append(shots[i], s)
		}
	}
	for i, s := range l.sides {
		l.Rows.Info("p99 of reads, calm: "+s.name, middle(shots[i], p99), " us",
			fmt.Sprintf("p50 %.0f us, longest pause %.1f ms, %.2f us of CPU a request", middle(shots[i], p50), worst(shots[i], longestMS),
				middle(shots[i], func(s rig.Shot) float64 { return s.CPU })))
	}
	return nil
}
