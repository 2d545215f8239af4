//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// startRedis starts Redis with further options, and returns when it answers.
func (c *comparison) startRedis(name string, options ...string) (*rig.Process, error) {
	if c.redis == "" {
		return nil, errNoRedis
	}
	dir := c.Path(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := c.launchRedis(name, options...)
	if err != nil {
		return nil, err
	}
	return p, p.Answered("PING\r\n", "+PONG")
}

// launchRedis starts Redis in a directory that is there, and does not wait for it.
func (c *comparison) launchRedis(name string, options ...string) (*rig.Process, error) {
	socket := c.Path(name + ".sock")
	args := append([]string{"--port", "0", "--unixsocket", socket, "--tcp-backlog", "4096", "--maxclients", "20000", "--save", "", "--dir", c.Path(name)}, options...)
	return rig.Start(rig.ServerCore, socket, c.redis, args...)
}

var errNoRedis = fmt.Errorf("redis-server is not installed")

// fillRedis gives Redis a value under each name of a state.
func fillRedis(ctx context.Context, p *rig.Process, s *rig.State) error {
	f, err := os.Open(s.Names)
	if err != nil {
		return err
	}
	defer f.Close()
	var r generator.Requests
	value := strings.Repeat("v", rig.Size)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		r.Add(func(b []byte) []byte { return generator.Redis.AppendSet(b, lines.Text(), value) })
	}
	result, err := generator.Run(ctx, generator.Plan{
		Socket: p.Socket, Dialect: generator.Redis, Requests: &r, InTurn: true, Count: int64(r.Len()), Batch: 16,
	})
	if err == nil && (result.Failed() > 0 || result.Replies != int64(s.N)) {
		err = fmt.Errorf("redis took %d of %d values", result.Replies-result.Failed(), s.N)
	}
	return err
}

// startEcho starts the echo, with replies as long as tokend's.
func (c *comparison) startEcho() (*rig.Process, error) {
	if c.echo == "" {
		return nil, fmt.Errorf("there is no C compiler")
	}
	socket := c.Path("echo.sock")
	p, err := rig.Start(rig.ServerCore, socket, c.echo, socket, fmt.Sprint(len("OK 7000 ")+rig.Size+1))
	if err != nil {
		return nil, err
	}
	return p, p.Answered("GET\n", "OK ")
}
