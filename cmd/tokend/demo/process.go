package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"tokend/clientlib"
)

// process is a running daemon.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended; err is set before
	err    error
}

// patience is the limit for a daemon's start or stop, which takes tens of milliseconds.
const patience = 20 * time.Second

// start starts a daemon and returns when it responds at socket. Its log is appended to the file
// log.
func start(ctx context.Context, program, config, log, socket string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(program, "serve", "--config", config)
	cmd.Args[0] = "tokend"
	cmd.Stderr = out
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=") // it is not a service of our parent
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() { // kill and stop wait for it
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := p.answers(ctx, socket); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// answers waits until the daemon responds at socket.
func (p *process) answers(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &clientlib.Client{Socket: socket}
	defer c.Close()
	for {
		err := c.Ping(ctx)
		if err == nil || !errors.Is(err, clientlib.ErrNoDaemon) {
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the daemon has exited: %v", p.err)
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not respond: %w", context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends the daemon as kill -9 does and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if the process has ended
	<-p.exited
}

// stop ends the daemon as systemd does and returns its exit status.
func (p *process) stop() (int, error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop the daemon: %w", err)
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		p.kill()
		return 0, errors.New("the daemon does not stop")
	}
}
