//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"tokend/benchmarks/generator"
)

// shot is what one run of tokend bench has shown.
type shot struct {
	Rate   float64 `json:"per_second"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	P999   float64 `json:"p999_us"`
	Max    float64 `json:"max_us"`
	Count  int64   `json:"replies"`
	Failed int64   `json:"failed"`
	Time   float64 `json:"seconds"`
	Own    float64 `json:"own_cpu_seconds"`

	// CPU is what the server used for a request, in microseconds.
	CPU float64 `json:"-"`
}

// shoot has tokend bench ask a server.
func (c *comparison) shoot(ctx context.Context, p *process, s *state, dialect string, args ...string) (shot, error) {
	cmd := exec.CommandContext(ctx, c.tokend, append([]string{"bench", "--json", "--target", dialect, "--socket", p.socket, "--names", s.names}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	c.calm.look()
	before := p.cpu()
	var one shot
	err := cmd.Run()
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &one)
	}
	if err != nil {
		return shot{}, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return one.at(p.cpu() - before), nil
}

// shootAs carries out a plan for some seconds in this process, which is the one that can ask as
// other users.
func (c *comparison) shootAs(ctx context.Context, p *process, plan generator.Plan) (shot, error) {
	plan.Socket = p.socket
	c.calm.look()
	before := p.cpu()
	r, err := generator.Run(ctx, plan)
	if err == nil && r.Failed() > 0 {
		err = fmt.Errorf("%d of %d requests have failed: %v", r.Failed(), r.Replies, r.Refused)
	}
	if err != nil {
		return shot{}, err
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	one := shot{
		Rate: r.Rate(), P50: us(r.Latency.Quantile(0.5)), P99: us(r.Latency.Quantile(0.99)), P999: us(r.Latency.Quantile(0.999)), Max: us(r.Latency.Max()),
		Count: r.Replies, Time: r.Elapsed.Seconds(), Own: r.CPU.Seconds(),
	}
	return one.at(p.cpu() - before), nil
}

// at returns s of a server that has used so much CPU meanwhile.
func (s shot) at(used time.Duration) shot {
	if s.Count > 0 {
		s.CPU = float64(used) / float64(time.Microsecond) / float64(s.Count)
	}
	return s
}
