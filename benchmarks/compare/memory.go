//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

const mb = 1 << 20

// settle is the pause before a server's memory is measured.
const settle = 2 * time.Second

// memory measures the memory, the start and the idle load of credentials.
func (c *comparison) memory(ctx context.Context) error {
	numbers := rig.Pick(&c.Rig, []int{10, 1000, 10_000, 100_000}, []int{10, 100_000})
	for _, n := range numbers {
		s, err := c.NewState(ctx, fmt.Sprintf("memory%d", n), n, "")
		if err != nil {
			return err
		}
		err = c.weigh(ctx, s)
		s.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// weigh measures tokend with a state, and Redis with the same values and an append-only file.
func (c *comparison) weigh(ctx context.Context, s *rig.State) error {
	redis := fmt.Sprintf("aof%d", s.N)
	options := []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	if c.Redis != "" {
		p, err := c.StartRedis(redis, options...)
		if err != nil {
			return err
		}
		err = rig.FillCache(ctx, generator.Redis, p, s)
		p.Stop()
		if err != nil {
			return err
		}
	}
	var ours, theirs weight
	turns := rig.Pick(&c.Rig, 3, 2)
	if s.N == 100_000 {
		turns = rig.Pick(&c.Rig, 5, 3)
	}
	for range turns {
		p, err := rig.Start(rig.ServerCore, s.Socket, c.Tokend, "serve", "--config", s.Config)
		if err == nil {
			err = ours.add(p, "GET "+s.First+"\n", "OK ")
		}
		if err != nil {
			return err
		}
		if c.Redis == "" {
			continue
		}
		if p, err = c.LaunchRedis(redis, options...); err == nil {
			err = theirs.add(p, "GET "+s.First+"\r\n", "$")
		}
		if err != nil {
			return err
		}
	}
	starts, private, redisStarts, redisPrivate := rig.Median(ours.starts), rig.Median(ours.private), rig.Median(theirs.starts), rig.Median(theirs.private)
	c.data.Credentials = append(c.data.Credentials, cost{"tokend", s.N, private, starts})
	if c.Redis != "" {
		c.data.Credentials = append(c.data.Credentials, cost{"redis", s.N, redisPrivate, redisStarts})
	}
	switch s.N {
	case 10:
		c.Rows.AtMost("resident with ten credentials", rig.Median(ours.resident)/mb, 25, 16, " MB", "HTTP off")
	case 100_000:
		if c.Redis == "" {
			c.Rows.Missing("memory and start with 100 000 against Redis", rig.ErrNoRedis)
		} else {
			c.Rows.AtMost("private memory with 100 000 of 512 bytes", private/redisPrivate, 1.2, 0.95, "x",
				fmt.Sprintf("tokend %.0f MB (and as many grants), redis %.0f MB", private/mb, redisPrivate/mb))
			c.Rows.AtMost("start with 100 000, exec to first answer", starts/redisStarts, 1.5, 1.0, "x",
				fmt.Sprintf("tokend %.0f ms, redis with an append-only file %.0f ms", starts, redisStarts))
		}
		return c.idle(s)
	}
	return nil
}

// weight holds the results of several starts of a server.
type weight struct{ starts, private, resident []float64 }

// add measures the time to the first answer and the memory of a new server, and stops the server.
func (w *weight) add(p *rig.Process, request, want string) error {
	if err := p.Answered(request, want); err != nil {
		return err
	}
	defer p.Stop()
	time.Sleep(settle)
	private, resident := p.Memory()
	w.starts = append(w.starts, ms(p.Took))
	w.private, w.resident = append(w.private, float64(private)), append(w.resident, float64(resident))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// idle measures the load of a daemon without requests.
func (c *comparison) idle(s *rig.State) error {
	p, err := c.Serve(s)
	if err != nil {
		return err
	}
	defer p.Stop()
	time.Sleep(2 * settle)
	span := rig.Pick(&c.Rig, 30*time.Second, 10*time.Second)
	before, woken := p.CPU(), p.Wakes()
	time.Sleep(span)
	c.Rows.AtMost("idle CPU with 100 000 fresh ones", 100*float64(p.CPU()-before)/float64(span), 1, 0.2, " %",
		fmt.Sprintf("of a core, over %s; woken %.0f times a second", span, float64(p.Wakes()-woken)/span.Seconds()))
	return nil
}
