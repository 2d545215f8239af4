//go:build linux

package rig

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

// Shot is the result of one run of tokend bench.
type Shot struct {
	Rate   float64 `json:"per_second"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	P999   float64 `json:"p999_us"`
	Max    float64 `json:"max_us"`
	Count  int64   `json:"replies"`
	Failed int64   `json:"failed"`
	Time   float64 `json:"seconds"`
	Own    float64 `json:"own_cpu_seconds"`

	// CPU is the server's CPU time for a request, in microseconds.
	CPU float64 `json:"-"`
}

// Shoot runs tokend bench against a server.
func (r *Rig) Shoot(ctx context.Context, p *Process, s *State, dialect string, args ...string) (Shot, error) {
	cmd := exec.CommandContext(ctx, r.Tokend, append([]string{"bench", "--json", "--target", dialect, "--socket", p.Socket, "--names", s.Names}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	r.Calm.Look()
	before := p.CPU()
	var one Shot
	err := first(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &one)
	}
	if err != nil {
		return Shot{}, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return one.at(p.CPU() - before), nil
}

// ShootAs runs a plan in this process, which alone can send requests as other users.
func (r *Rig) ShootAs(ctx context.Context, p *Process, plan generator.Plan) (Shot, error) {
	plan.Socket = p.Socket
	r.Calm.Look()
	before := p.CPU()
	got, err := generator.Run(ctx, plan)
	if err == nil && got.Failed() > 0 {
		err = fmt.Errorf("%d of %d requests failed: %v", got.Failed(), got.Replies, got.Refused)
	}
	if err != nil {
		return Shot{}, err
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	one := Shot{
		Rate: got.Rate(), P50: us(got.Latency.Quantile(0.5)), P99: us(got.Latency.Quantile(0.99)), P999: us(got.Latency.Quantile(0.999)), Max: us(got.Latency.Max()),
		Count: got.Replies, Time: got.Elapsed.Seconds(), Own: got.CPU.Seconds(),
	}
	return one.at(p.CPU() - before), nil
}

// at returns s with the CPU time used.
func (s Shot) at(used time.Duration) Shot {
	if s.Count > 0 {
		s.CPU = float64(used) / float64(time.Microsecond) / float64(s.Count)
	}
	return s
}
