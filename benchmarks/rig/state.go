//go:build linux

package rig

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Size is the size of a value: what WeChat asks callers to reserve.
const Size = 512

// Away and Back are the signals that make WeChat unreachable and reachable.
const Away, Back = syscall.SIGUSR1, syscall.SIGUSR2

// Metered is WeChat's own count of its calls.
type Metered struct{ Total, Fastest, AtOnce int }

// State is a state directory with its configuration and the names in it.
type State struct {
	Config, Socket string
	Names          string // a file
	First          string // the first name
	N              int
	Upstream       *exec.Cmd     // its WeChat, if one runs
	said           *bufio.Reader // the output of Upstream
}

// NewState fills a state directory with n customers. If upstream is an address, a WeChat runs there
// until Close.
func (r *Rig) NewState(ctx context.Context, name string, n int, upstream string, args ...string) (*State, error) {
	s := &State{Config: r.Path(name + ".toml"), Socket: r.Path(name + ".sock"), Names: r.Path(name + ".names"), N: n}
	out, err := os.Create(s.Names)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args = append([]string{"-state", r.Path(name), "-config", s.Config, "-socket", s.Socket, "-n", fmt.Sprint(n), "-size", fmt.Sprint(Size), "-names"}, args...)
	if upstream != "" {
		args = append(args, "-serve", upstream)
	}
	cmd := exec.CommandContext(ctx, r.Fill, args...)
	cmd.Stdout = out
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// Fill prints one line when all is written, or its error.
	s.said = bufio.NewReader(said)
	line, err := s.said.ReadString('\n')
	if err == nil && !strings.Contains(line, "customers") {
		err = fmt.Errorf("%s", strings.TrimSpace(line))
	}
	if err == nil && upstream == "" {
		err = cmd.Wait()
	} else {
		s.Upstream = cmd
	}
	if err == nil && s.Upstream != nil {
		err = GiveWay(cmd.Process.Pid)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", r.Fill, err)
	}
	text, err := os.ReadFile(s.Names)
	if err != nil {
		return nil, err
	}
	s.First, _, _ = strings.Cut(string(text), "\n")
	return s, nil
}

func (s *State) Close() {
	if s.Upstream != nil {
		_ = s.Upstream.Process.Kill()
		_ = s.Upstream.Wait()
	}
}

// Metered stops WeChat and returns its counts.
func (s *State) Metered() (m Metered, err error) {
	if err := s.Upstream.Process.Signal(syscall.SIGTERM); err != nil {
		return m, err
	}
	line, err := s.said.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "fill: %d calls, at most %d within a second, at most %d at once", &m.Total, &m.Fastest, &m.AtOnce)
	}
	if err != nil {
		return m, fmt.Errorf("WeChat's counts are missing: %q: %w", line, err)
	}
	return m, nil
}

// Open lets every user reach the socket, and appends tables to the configuration.
func (s *State) Open(tables string) error {
	text, err := os.ReadFile(s.Config)
	if err != nil {
		return err
	}
	return os.WriteFile(s.Config, append([]byte("socket_mode = \"0666\"\n"), append(text, tables...)...), 0o600)
}

// Serve starts tokend on a state and waits until it has loaded everything.
func (r *Rig) Serve(s *State) (*Process, error) { return ServeBy(r.Tokend, s) }

// ServeBy is Serve with another tokend.
func ServeBy(tokend string, s *State) (*Process, error) {
	p, err := Start(ServerCore, s.Socket, tokend, "serve", "--config", s.Config)
	if err != nil {
		return nil, err
	}
	if err := p.Answered("GET "+s.First+"\n", "OK "); err != nil {
		return nil, err
	}
	if err := p.Loaded(); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// FreeAddress returns an address where nothing listens.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
