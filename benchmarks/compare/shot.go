//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"syscall"
	"time"
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

// shoot has tokend bench ask a server. Users are those who ask, each in a process of its own and all at
// once; none is this user. What they show is added up.
func (c *comparison) shoot(ctx context.Context, p *process, s *state, dialect string, users []uint32, args ...string) (shot, error) {
	args = append([]string{"bench", "--json", "--target", dialect, "--socket", p.socket, "--names", s.names}, args...)
	before := p.cpu()
	commands := []*exec.Cmd{exec.CommandContext(ctx, c.tokend, args...)}
	for i, uid := range users {
		if i > 0 {
			commands = append(commands, exec.CommandContext(ctx, c.tokend, args...))
		}
		commands[i].SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out := make([]bytes.Buffer, len(commands))
	said := make([]bytes.Buffer, len(commands))
	for i, cmd := range commands {
		cmd.Stdout, cmd.Stderr = &out[i], &said[i]
		if err := cmd.Start(); err != nil {
			return shot{}, err
		}
	}
	var sum shot
	var failed error
	for i, cmd := range commands {
		var one shot
		err := cmd.Wait()
		if err == nil {
			err = json.Unmarshal(out[i].Bytes(), &one)
		}
		if err != nil {
			failed = fmt.Errorf("%s %v: %w: %s", dialect, args, err, said[i].String())
		}
		sum.Rate += one.Rate
		sum.Count += one.Count
		sum.Failed += one.Failed
		sum.Own += one.Own
		sum.P50, sum.P99, sum.P999 = max(sum.P50, one.P50), max(sum.P99, one.P99), max(sum.P999, one.P999)
		sum.Max, sum.Time = max(sum.Max, one.Max), max(sum.Time, one.Time)
	}
	if sum.Count > 0 {
		sum.CPU = float64(p.cpu()-before) / float64(time.Microsecond) / float64(sum.Count)
	}
	return sum, failed
}
