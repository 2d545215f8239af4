//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// rows compares the maximum throughput of both tokends, for the shapes of load of
// benchmarks/compare and for writers.
func (l *load) rows(ctx context.Context) error {
	if len(l.sides) < 2 {
		return errors.New("rows needs another tokend to compare with: -before")
	}
	all, stop, err := l.launch(ctx, "rows", world{customers: 10_000})
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	puts := make([]*generator.Requests, len(all))
	for i, d := range all {
		puts[i] = writes(d, 100_000)
	}
	for _, shape := range append(rig.Shapes, rig.Shape{Name: fmt.Sprintf("%d writers", writers)}) {
		shots := make([][]rig.Shot, len(all))
		err := l.inRounds(len(all), func(at int) (err error) {
			var s rig.Shot
			if shape.Args == nil {
				s, err = l.ShootAs(ctx, all[at].Process, generator.Plan{
					Dialect: generator.Tokend, Requests: puts[at], InTurn: true, Connections: writers, Duration: time.Second,
				})
			} else {
				s, err = l.Shoot(ctx, all[at].Process, all[at].state, "tokend", append([]string{"--seconds", "1", "--warm-up", "200ms"}, shape.Args...)...)
			}
			shots[at] = append(shots[at], s)
			return err
		})
		if err != nil {
			return err
		}
		var ratios, cpu []float64
		for round, s := range shots[0] {
			ratios = append(ratios, s.Rate/shots[1][round].Rate)
			cpu = append(cpu, s.CPU/shots[1][round].CPU)
		}
		rate := func(s rig.Shot) float64 { return s.Rate / 1000 }
		l.Rows.AtLeast("replies against "+l.sides[1].name+", "+shape.Name, rig.Median(ratios), 0.95, 1, "x",
			fmt.Sprintf("%.0fk/s and %.0fk/s; CPU a request %.2fx", middle(shots[0], rate), middle(shots[1], rate), rig.Median(cpu)))
	}
	return nil
}
