//go:build linux

package main

import (
	"context"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// fewShapes are loads with so few connections that clients and server wait for each other.
var fewShapes = []rig.Shape{
	{Name: "4", Args: []string{"--connections", "4"}},
	{Name: "8", Args: []string{"--connections", "8"}},
	{Name: "16", Args: []string{"--connections", "16"}},
}

// few measures the socket with few connections, and memcached too.
func (c *comparison) few(ctx context.Context) error {
	if c.Redis == "" {
		return rig.ErrNoRedis
	}
	s, all, stop, err := c.contenders(ctx, "few", 10_000)
	if err != nil {
		return err
	}
	defer stop()
	if c.Memcached != "" {
		p, err := c.StartMemcached("memcached")
		if err != nil {
			return err
		}
		defer p.Stop()
		if err := rig.FillCache(ctx, generator.Memcached, p, s); err != nil {
			return err
		}
		all = append(all, contender{"memcached", "memcached", p})
	}
	r, err := c.turns(ctx, rig.Pick(&c.Rig, 5, 3), rig.Pick(&c.Rig, "1", "0.7"), s, all, fewShapes)
	if err != nil {
		return err
	}
	times := func(figure, load string, least, aim float64) {
		c.Rows.AtLeast(figure, r.ratio(load, "tokend", "redis", rate), least, aim, "x", r.rates(load, all))
	}
	times("throughput, 4 connections", "4", 1.3, 1.5)
	times("throughput, 8 connections", "8", 1.6, 1.9)
	times("throughput, 16 connections", "16", 1.15, 1.35)
	return nil
}
