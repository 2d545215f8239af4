//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

const mb = 1 << 20

// settle is how long a server is left alone before its memory is looked at.
const settle = 2 * time.Second

// memory measures what credentials cost: memory, start, and doing nothing.
func (c *comparison) memory(ctx context.Context) error {
	numbers := pick(c, []int{10, 1000, 10_000, 100_000}, []int{10, 100_000})
	for _, n := range numbers {
		s, err := c.newState(ctx, fmt.Sprintf("memory%d", n), n, "")
		if err != nil {
			return err
		}
		err = c.weigh(ctx, s)
		s.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// weigh measures tokend with a state, and Redis with the same values and an append-only file.
func (c *comparison) weigh(ctx context.Context, s *state) error {
	redis := fmt.Sprintf("aof%d", s.n)
	options := []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	if c.redis != "" {
		p, err := c.startRedis(redis, options...)
		if err != nil {
			return err
		}
		err = fillRedis(ctx, p, s)
		p.stop()
		if err != nil {
			return err
		}
	}
	var starts, redisStarts, private, redisPrivate, resident []float64
	for range pick(c, 5, 3) {
		p, err := start(serverCore, s.socket, c.tokend, "serve", "--config", s.config)
		if err != nil {
			return err
		}
		took, err := p.first("GET "+s.first+"\n", "OK ")
		if err == nil {
			time.Sleep(settle)
			own, all := p.memory()
			starts, private, resident = append(starts, ms(took)), append(private, float64(own)), append(resident, float64(all))
		}
		p.stop()
		if err != nil {
			return err
		}
		if c.redis == "" {
			continue
		}
		socket := c.path(redis + ".sock")
		p, err = start(serverCore, socket, c.redis, append([]string{"--port", "0", "--unixsocket", socket, "--save", "", "--dir", c.path(redis)}, options...)...)
		if err != nil {
			return err
		}
		took, err = p.first("GET "+s.first+"\r\n", "$")
		if err == nil {
			time.Sleep(settle)
			own, _ := p.memory()
			redisStarts, redisPrivate = append(redisStarts, ms(took)), append(redisPrivate, float64(own))
		}
		p.stop()
		if err != nil {
			return err
		}
	}
	c.data.Credentials = append(c.data.Credentials, cost{"tokend", s.n, median(private), median(starts)})
	if c.redis != "" {
		c.data.Credentials = append(c.data.Credentials, cost{"redis", s.n, median(redisPrivate), median(redisStarts)})
	}
	switch s.n {
	case 10:
		c.rows.atMost("resident with ten credentials", median(resident)/mb, 25, 16, " MB", "HTTP off")
	case 100_000:
		if c.redis == "" {
			c.rows.missing("memory and start with 100 000 against Redis", errNoRedis)
		} else {
			c.rows.atMost("private memory with 100 000 of 512 bytes", median(private)/median(redisPrivate), 1.2, 0.95, "x",
				fmt.Sprintf("tokend %.0f MB (and as many grants), redis %.0f MB", median(private)/mb, median(redisPrivate)/mb))
			c.rows.atMost("start with 100 000, exec to first answer", median(starts)/median(redisStarts), 1.5, 1.0, "x",
				fmt.Sprintf("tokend %.0f ms, redis with an append-only file %.0f ms", median(starts), median(redisStarts)))
		}
		return c.idle(s)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// idle measures what a daemon uses that nobody asks.
func (c *comparison) idle(s *state) error {
	p, err := c.serve(s)
	if err != nil {
		return err
	}
	defer p.stop()
	time.Sleep(2 * settle)
	span := pick(c, 30*time.Second, 10*time.Second)
	before := p.cpu()
	time.Sleep(span)
	c.rows.atMost("idle CPU with 100 000 fresh ones", 100*float64(p.cpu()-before)/float64(span), 1, 0.2, " %", fmt.Sprintf("of a core, over %s", span))
	return nil
}
