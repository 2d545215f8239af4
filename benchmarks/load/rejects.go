//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// The bounds of the cost of a REJECT of a value that is no longer current, relative to a hit. The
// request is eight times as long.
const mostReject, aimReject = 1.5, 1.3

// reject measures the server's cost of a REJECT of a value that is no longer current.
func (l *load) reject(ctx context.Context) error {
	all, stop, err := l.launch(ctx, "reject", world{customers: 1000})
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	costs := make([]struct{ hits, rejects, ratios []float64 }, len(all))
	stale := strings.Repeat("u", rig.Size)
	err = l.inRounds(len(all), func(at int) error {
		hit, err := l.cost(ctx, all[at], generator.Tokend.AppendGet)
		if err != nil {
			return err
		}
		reject, err := l.cost(ctx, all[at], func(b []byte, name string) []byte { return fmt.Appendf(b, "REJECT %s %s\n", name, stale) })
		if err != nil {
			return err
		}
		c := &costs[at]
		c.hits, c.rejects, c.ratios = append(c.hits, hit), append(c.rejects, reject), append(c.ratios, reject/hit)
		return nil
	})
	if err != nil {
		return err
	}
	var notes []string
	for i, c := range costs {
		notes = append(notes, fmt.Sprintf("%s %.2fx: %.2f us, a hit %.2f us", l.sides[i].name, rig.Median(c.ratios), rig.Median(c.rejects), rig.Median(c.hits)))
	}
	l.Rows.AtMost("server CPU of a REJECT of a stale value, over a hit", rig.Median(costs[0].ratios), mostReject, aimReject, "x", strings.Join(notes, "; "))
	return nil
}

// cost returns d's processor time per request, in microseconds, with 50 connections that request
// all of its credentials.
func (l *load) cost(ctx context.Context, d daemon, request func(b []byte, name string) []byte) (float64, error) {
	names, err := namesOf(d)
	if err != nil {
		return 0, err
	}
	var r generator.Requests
	for _, name := range names {
		r.Add(func(b []byte) []byte { return request(b, name) })
	}
	span, err := time.ParseDuration(l.seconds + "s")
	if err != nil {
		return 0, err
	}
	s, err := l.ShootAs(ctx, d.Process, generator.Plan{Dialect: generator.Tokend, Requests: &r, Connections: 50, Duration: span / 4})
	return s.CPU, err
}

// namesOf returns the names of d's customers' tokens.
func namesOf(d daemon) ([]string, error) {
	b, err := os.ReadFile(d.state.Names)
	return strings.Fields(string(b)), err
}

// inRounds calls do for each of n sides in each round, in a different order each round.
func (l *load) inRounds(n int, do func(at int) error) error {
	for round := range l.rounds {
		for i := range n {
			if err := do((i + round) % n); err != nil {
				return err
			}
		}
	}
	return nil
}
