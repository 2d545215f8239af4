//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"tokend/benchmarks/generator"
)

// state is a state directory with its configuration and the names in it.
type state struct {
	config, socket string
	names          string // a file
	first          string // the first of the names
	n              int
	upstream       *exec.Cmd     // the WeChat of it, if it has one that runs
	said           *bufio.Reader // what that says
}

// size is that of a value, which is what WeChat asks callers to make room for.
const size = 512

// newState fills a state directory with n customers. With an upstream, at an address, a WeChat
// goes on to run there, until close.
func (c *comparison) newState(ctx context.Context, name string, n int, upstream string, args ...string) (*state, error) {
	s := &state{config: c.path(name + ".toml"), socket: c.path(name + ".sock"), names: c.path(name + ".names"), n: n}
	out, err := os.Create(s.names)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args = append([]string{"-state", c.path(name), "-config", s.config, "-socket", s.socket, "-n", fmt.Sprint(n), "-size", fmt.Sprint(size), "-names"}, args...)
	if upstream != "" {
		args = append(args, "-serve", upstream)
	}
	cmd := exec.CommandContext(ctx, c.fill, args...)
	cmd.Stdout = out
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It says one line when all is written, or why it is not.
	s.said = bufio.NewReader(said)
	line, err := s.said.ReadString('\n')
	if err == nil && !strings.Contains(line, "customers") {
		err = fmt.Errorf("%s", strings.TrimSpace(line))
	}
	if err == nil && upstream == "" {
		err = cmd.Wait()
	} else {
		s.upstream = cmd
	}
	if err == nil && s.upstream != nil {
		err = giveWay(cmd.Process.Pid)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", c.fill, err)
	}
	text, err := os.ReadFile(s.names)
	if err != nil {
		return nil, err
	}
	s.first, _, _ = strings.Cut(string(text), "\n")
	return s, nil
}

func (s *state) close() {
	if s.upstream != nil {
		_ = s.upstream.Process.Kill()
		_ = s.upstream.Wait()
	}
}

// away and back are the signals by which WeChat leaves calls without an answer, and answers again.
const away, back = syscall.SIGUSR1, syscall.SIGUSR2

// metered is what WeChat has counted of the calls to it.
type metered struct{ total, fastest, atOnce int }

// metered ends WeChat and returns what it has counted.
func (s *state) metered() (m metered, err error) {
	if err := s.upstream.Process.Signal(syscall.SIGTERM); err != nil {
		return m, err
	}
	line, err := s.said.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "fill: %d calls, at most %d within a second, at most %d at once", &m.total, &m.fastest, &m.atOnce)
	}
	if err != nil {
		return m, fmt.Errorf("WeChat does not say what it has counted: %q: %w", line, err)
	}
	return m, nil
}

// open lets every user reach the socket, and appends tables to the configuration.
func (s *state) open(tables string) error {
	text, err := os.ReadFile(s.config)
	if err != nil {
		return err
	}
	return os.WriteFile(s.config, append([]byte("socket_mode = \"0666\"\n"), append(text, tables...)...), 0o600)
}

// serve starts tokend on a state, and returns when it has answered and read all.
func (c *comparison) serve(s *state) (*process, error) {
	p, err := start(serverCore, s.socket, c.tokend, "serve", "--config", s.config)
	if err != nil {
		return nil, err
	}
	if err := p.answered("GET "+s.first+"\n", "OK "); err != nil {
		return nil, err
	}
	if err := p.loaded(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// startRedis starts Redis with further options, and returns when it answers.
func (c *comparison) startRedis(name string, options ...string) (*process, error) {
	if c.redis == "" {
		return nil, errNoRedis
	}
	dir := c.path(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := c.launchRedis(name, options...)
	if err != nil {
		return nil, err
	}
	return p, p.answered("PING\r\n", "+PONG")
}

// launchRedis starts Redis in a directory that is there, and does not wait for it.
func (c *comparison) launchRedis(name string, options ...string) (*process, error) {
	socket := c.path(name + ".sock")
	args := append([]string{"--port", "0", "--unixsocket", socket, "--tcp-backlog", "4096", "--maxclients", "20000", "--save", "", "--dir", c.path(name)}, options...)
	return start(serverCore, socket, c.redis, args...)
}

var errNoRedis = fmt.Errorf("redis-server is not installed")

// fillRedis gives Redis a value under each name of a state.
func fillRedis(ctx context.Context, p *process, s *state) error {
	f, err := os.Open(s.names)
	if err != nil {
		return err
	}
	defer f.Close()
	var r generator.Requests
	value := strings.Repeat("v", size)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		r.Add(func(b []byte) []byte { return generator.Redis.AppendSet(b, lines.Text(), value) })
	}
	result, err := generator.Run(ctx, generator.Plan{
		Socket: p.socket, Dialect: generator.Redis, Requests: &r, InTurn: true, Count: int64(r.Len()), Batch: 16,
	})
	if err == nil && (result.Failed() > 0 || result.Replies != int64(s.n)) {
		err = fmt.Errorf("redis took %d of %d values", result.Replies-result.Failed(), s.n)
	}
	return err
}

// startEcho starts the echo, with replies as long as tokend's.
func (c *comparison) startEcho() (*process, error) {
	if c.echo == "" {
		return nil, fmt.Errorf("there is no C compiler")
	}
	socket := c.path("echo.sock")
	p, err := start(serverCore, socket, c.echo, socket, fmt.Sprint(len("OK 7000 ")+size+1))
	if err != nil {
		return nil, err
	}
	return p, p.answered("GET\n", "OK ")
}

// freeAddress returns an address that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
