//go:build linux

package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"tokend/benchmarks/generator"
)

// ErrNoRedis and ErrNoMemcached report that a server for the comparison is missing.
var (
	ErrNoRedis     = errors.New("redis-server is not installed (Debian: apt install redis-server)")
	ErrNoMemcached = errors.New("memcached is not installed (Debian: apt install memcached)")
)

// FindCaches finds Redis and memcached if they are installed.
func (r *Rig) FindCaches() {
	r.Redis, _ = exec.LookPath("redis-server")
	r.Memcached, _ = exec.LookPath("memcached")
}

// StartRedis starts Redis with further options and waits until it responds.
func (r *Rig) StartRedis(name string, options ...string) (*Process, error) {
	if r.Redis == "" {
		return nil, ErrNoRedis
	}
	if err := os.MkdirAll(r.Path(name), 0o700); err != nil {
		return nil, err
	}
	p, err := r.LaunchRedis(name, options...)
	if err != nil {
		return nil, err
	}
	return p, p.Answered("PING\r\n", "+PONG")
}

// LaunchRedis starts Redis in an existing directory without waiting for it.
func (r *Rig) LaunchRedis(name string, options ...string) (*Process, error) {
	socket := r.Path(name + ".sock")
	args := append([]string{"--port", "0", "--unixsocket", socket, "--tcp-backlog", "4096", "--maxclients", "20000", "--save", "", "--dir", r.Path(name)}, options...)
	return Start(ServerCore, socket, r.Redis, args...)
}

// StartMemcached starts memcached with one thread and waits until it responds.
func (r *Rig) StartMemcached(name string) (*Process, error) {
	if r.Memcached == "" {
		return nil, ErrNoMemcached
	}
	socket := r.Path(name + ".sock")
	// memcached runs as root only if told to.
	p, err := Start(ServerCore, socket, r.Memcached, "-u", "root", "-t", "1", "-s", socket, "-a", "0777", "-c", "20000", "-b", "4096", "-m", "256")
	if err != nil {
		return nil, err
	}
	return p, p.Answered("version\r\n", "VERSION ")
}

// FillCache sets a value for each name of a state.
func FillCache(ctx context.Context, d generator.Dialect, p *Process, s *State) error {
	f, err := os.Open(s.Names)
	if err != nil {
		return err
	}
	defer f.Close()
	var r generator.Requests
	value := strings.Repeat("v", Size)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		r.Add(func(b []byte) []byte { return d.AppendSet(b, lines.Text(), value) })
	}
	result, err := generator.Run(ctx, generator.Plan{
		Socket: p.Socket, Dialect: d, Requests: &r, InTurn: true, Count: int64(r.Len()), Batch: 16,
	})
	if err == nil && (result.Failed() > 0 || result.Replies != int64(s.N)) {
		err = fmt.Errorf("%s stored %d of %d values", d, result.Replies-result.Failed(), s.N)
	}
	return err
}
