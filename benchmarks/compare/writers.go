//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// writers compares 64 durable writers: PUTs of customers' grants, each with a new value, against
// SETs of the same size that Redis syncs. tokend does more work: it syncs a grant in its journal,
// writes it to the store, and keeps the previous one.
func (c *comparison) writers(ctx context.Context) error {
	if c.Redis == "" {
		return rig.ErrNoRedis
	}
	s, err := c.NewState(ctx, "writers", 10_000, "", "-used", "1")
	if err != nil {
		return err
	}
	defer s.Close()
	ours, err := c.Serve(s)
	if err != nil {
		return err
	}
	defer ours.Stop()
	theirs, err := c.StartRedis("always", "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return err
	}
	defer theirs.Stop()
	platform := s.First[:strings.LastIndex(strings.TrimSuffix(s.First, "/access_token"), "/")]
	seconds := rig.Pick(&c.Rig, 2*time.Second, time.Second)
	const warmUp = 200 * time.Millisecond
	round := 0
	write := func(p *rig.Process, d generator.Dialect) (rate, cpu float64, err error) {
		round++
		var r generator.Requests
		for i := range 300_000 {
			name := fmt.Sprintf("%s/wxwriter%06d/refresh_token", platform, i%10_000)
			r.Add(func(b []byte) []byte {
				return d.AppendSet(b, name, fmt.Sprintf("refreshtoken@@@%030d-%05d-%06d", 0, round, i))
			})
		}
		c.Calm.Look()
		before := p.CPU()
		result, err := generator.Run(ctx, generator.Plan{
			Socket: p.Socket, Dialect: d, Requests: &r, InTurn: true, Connections: 64, Duration: seconds, WarmUp: warmUp,
		})
		if err == nil && result.Failed() > 0 {
			err = fmt.Errorf("%v: %d of %d refused: %v", d, result.Failed(), result.Replies, result.Refused)
		}
		if err != nil {
			return 0, 0, err
		}
		rate = result.Rate()
		return rate, float64((p.CPU() - before).Microseconds()) / (rate * (seconds + warmUp).Seconds()), nil
	}
	var ratios, our, their, ourCPU, theirCPU []float64
	for range rig.Pick(&c.Rig, 9, 3) { // the disk differs most from turn to turn
		a, aCPU, err := write(ours, generator.Tokend)
		if err != nil {
			return err
		}
		b, bCPU, err := write(theirs, generator.Redis)
		if err != nil {
			return err
		}
		ratios, our, their = append(ratios, a/b), append(our, a), append(their, b)
		ourCPU, theirCPU = append(ourCPU, aCPU), append(theirCPU, bCPU)
	}
	c.Rows.AtLeast("64 durable writers", rig.Median(ratios), 0.8, 1.0, "x",
		fmt.Sprintf("PUT of grants, synced in the journal, %.0f/s at %.1f us of CPU; SET with appendfsync always %.0f/s at %.1f us",
			rig.Median(our), rig.Median(ourCPU), rig.Median(their), rig.Median(theirCPU)))
	return nil
}
