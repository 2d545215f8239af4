//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// contender is a server in the comparison.
type contender struct {
	name    string
	dialect string
	process *rig.Process
}

// results are shots by load, server and turn.
type results map[string]map[string][]rig.Shot

// turns runs all loads on all contenders in turns, each turn in another order.
func (c *comparison) turns(ctx context.Context, n int, seconds string, s *rig.State, all []contender, loads []rig.Shape) (results, error) {
	return inTurns(n, all, loads, func(one contender, l rig.Shape) (rig.Shot, error) {
		return c.Shoot(ctx, one.process, s, one.dialect, append([]string{"--seconds", seconds, "--warm-up", "200ms"}, l.Args...)...)
	})
}

func inTurns(n int, all []contender, loads []rig.Shape, shoot func(contender, rig.Shape) (rig.Shot, error)) (results, error) {
	r := results{}
	for turn := range n {
		for _, l := range loads {
			for i := range all {
				one := all[(i+turn)%len(all)]
				got, err := shoot(one, l)
				if err != nil {
					return nil, err
				}
				if r[l.Name] == nil {
					r[l.Name] = map[string][]rig.Shot{}
				}
				r[l.Name][one.name] = append(r[l.Name][one.name], got)
			}
		}
	}
	return r, nil
}

// ratio returns the median, over the turns, of one server's figure divided by another's.
func (r results) ratio(load, one, other string, of func(rig.Shot) float64) float64 {
	var ratios []float64
	for i, a := range r[load][one] {
		if b := of(r[load][other][i]); b > 0 {
			ratios = append(ratios, of(a)/b)
		}
	}
	return rig.Median(ratios)
}

// middle returns the median of a figure.
func (r results) middle(load, name string, of func(rig.Shot) float64) float64 {
	var all []float64
	for _, s := range r[load][name] {
		all = append(all, of(s))
	}
	return rig.Median(all)
}

// rates describes the servers' requests per second.
func (r results) rates(load string, all []contender) string {
	var words []string
	for _, one := range all {
		words = append(words, fmt.Sprintf("%s %.0fk/s", one.name, r.middle(load, one.name, rate)/1000))
	}
	return strings.Join(words, ", ")
}

func rate(s rig.Shot) float64 { return s.Rate }
func p99(s rig.Shot) float64  { return s.P99 }
func cpu(s rig.Shot) float64  { return s.CPU }
func own(s rig.Shot) float64  { return 100 * s.Own / s.Time }

// contenders starts tokend, Redis and the echo, as far as they are installed, with n names of a
// new state.
func (c *comparison) contenders(ctx context.Context, state string, n int) (s *rig.State, all []contender, stop func(), err error) {
	s, err = c.NewState(ctx, state, n, "")
	if err != nil {
		return nil, nil, nil, err
	}
	stop = func() {
		for _, one := range all {
			one.process.Stop()
		}
		s.Close()
	}
	add := func(name, dialect string, p *rig.Process, err error) error {
		if err == nil {
			all = append(all, contender{name, dialect, p})
		}
		return err
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	p, err := c.Serve(s)
	if err = add("tokend", "tokend", p, err); err != nil {
		return s, all, stop, err
	}
	if c.Redis != "" {
		p, err := c.StartRedis("redis", "--appendonly", "no")
		if err = add("redis", "redis", p, err); err == nil {
			err = rig.FillCache(ctx, generator.Redis, p, s)
		}
		if err != nil {
			return s, all, stop, err
		}
	}
	if c.echo != "" {
		p, err := c.startEcho()
		if err = add("echo", "tokend", p, err); err != nil {
			return s, all, stop, err
		}
	}
	return s, all, stop, nil
}

// socket measures throughput, latency and CPU time on the socket.
func (c *comparison) socket(ctx context.Context) error {
	s, all, stop, err := c.contenders(ctx, "socket", 10_000)
	if err != nil {
		return err
	}
	defer stop()
	all = append(all, contender{"tokend in RESP", "redis", all[0].process})
	r, err := c.turns(ctx, rig.Pick(&c.Rig, 5, 3), rig.Pick(&c.Rig, "1", "0.7"), s, all, rig.Shapes)
	if err != nil {
		return err
	}
	absolute := func(load string) string { return r.rates(load, all) }
	c.Rows.AtLeast("throughput in RESP compared with lines, 50 connections", r.ratio("50", "tokend in RESP", "tokend", rate), 0.90, 0.98, "x", absolute("50"))
	if c.Redis == "" {
		c.Rows.Missing("ratios to Redis", rig.ErrNoRedis)
	} else {
		times := func(figure, load string, least, aim float64) {
			c.Rows.AtLeast(figure, r.ratio(load, "tokend", "redis", rate), least, aim, "x", absolute(load))
		}
		times("throughput, 50 connections", "50", 1.15, 1.35)
		times("throughput, 512 connections", "512", 1.25, 1.50)
		times("throughput, 50 connections, 16 together", "50x16", 1.5, 2.0)
	}
	if c.echo == "" {
		c.Rows.Missing("part of the echo reached", errors.New("no C compiler is installed"))
	} else {
		c.Rows.AtLeast("part of the echo reached, 50 connections", r.ratio("50", "tokend", "echo", rate), 0.75, 0.90, "x",
			fmt.Sprintf("generator at %.0f %% of a core with the echo, %.0f %% with tokend", r.middle("50", "echo", own), r.middle("50", "tokend", own)))
	}
	if c.Redis == "" {
		return nil
	}
	c.Rows.AtMost("server CPU a request, 50 connections", r.ratio("50", "tokend", "redis", cpu), 0.85, 0.75, "x",
		fmt.Sprintf("tokend %.2f us, redis %.2f us", r.middle("50", "tokend", cpu), r.middle("50", "redis", cpu)))
	c.Rows.AtMost("p99, 50 connections", r.ratio("50", "tokend", "redis", p99), 1.15, 0.90, "x",
		fmt.Sprintf("tokend %.0f us, redis %.0f us", r.middle("50", "tokend", p99), r.middle("50", "redis", p99)))
	c.Rows.AtLeast("connect, GET, close: 50 at once", r.ratio("connect50", "tokend", "redis", rate), 1.10, 1.25, "x", absolute("connect50"))
	c.Rows.AtLeast("connect, GET, close: one after another", r.ratio("connect1", "tokend", "redis", rate), 1.0, 1.15, "x", absolute("connect1"))
	return nil
}

// byConnections measures rate and latency by number of connections, for the plots.
func (c *comparison) byConnections(ctx context.Context) error {
	s, all, stop, err := c.contenders(ctx, "plots", 10_000)
	if err != nil {
		return err
	}
	defer stop()
	numbers := []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}
	var loads []rig.Shape
	for _, n := range numbers {
		loads = append(loads, rig.Shape{Name: fmt.Sprint(n), Args: []string{"--connections", fmt.Sprint(n)}})
	}
	r, err := c.turns(ctx, rig.Pick(&c.Rig, 3, 1), "0.5", s, all, loads)
	if err != nil {
		return err
	}
	for _, one := range all {
		for _, n := range numbers {
			load := fmt.Sprint(n)
			c.data.Connections = append(c.data.Connections, point{
				Server: one.name, Connections: n, Rate: r.middle(load, one.name, rate),
				P50: r.middle(load, one.name, func(s rig.Shot) float64 { return s.P50 }), P99: r.middle(load, one.name, p99),
			})
		}
	}
	return nil
}
