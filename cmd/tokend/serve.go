package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"tokend/daemon"
	"tokend/daemon/config"
	"tokend/daemon/footprint"
)

func newServe(env *environment) *cobra.Command {
	s := &service{env: env}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: `Run the daemon in the foreground until SIGTERM or SIGINT. A second signal ends it at once. SIGHUP
makes it read its configuration again, as tokend reload does: if the file has a mistake, the old
configuration stays in effect. The log goes to standard error.

Under systemd, the daemon uses the socket of a .socket unit if there is one, and reports readiness,
reloads and stops (Type=notify, WatchdogSec=).`,
		Example: "  tokend serve --config /etc/tokend/tokend.toml",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	configFlag(cmd, &s.file)
	return cmd
}

// service is one run of the daemon.
type service struct {
	env  *environment
	file string

	// Set by run, in this order.
	config  *config.Config // changed by reload
	log     *serviceLog
	systemd manager
	daemon  *daemon.Daemon

	reloading sync.Mutex // serializes reload, which guards config while the daemon runs
}

// errForced reports that the daemon did not finish its stop.
var errForced = errors.New("stopped at once by a second signal")

// run serves until ctx is done.
func (s *service) run(ctx context.Context) (err error) {
	signal.Ignore(syscall.SIGPIPE) // systemd treats an end by SIGPIPE as clean and would not restart the daemon
	unsafe := harden()
	if s.config, err = s.load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before the start
		}
		return err
	}
	s.log = newServiceLog(s.env, s.config)
	s.systemd = manager{s.log}
	// Registered until the process ends, so that SIGHUP never kills it.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	path, err := s.open()
	if err != nil {
		return err
	}
	s.env.sockets.started()
	// Warnings come after open, so that an error of the start is the only line.
	s.warn(s.config)
	if unsafe != nil {
		s.log.Warn("secrets may end up in a core dump", "error", unsafe)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	shortenSlices()
	setProcs(os.Getenv("GOMAXPROCS") != "")
	var running sync.WaitGroup
	done := make(chan error, 1) // buffered, so that a forced stop blocks no goroutine
	running.Go(func() { s.systemd.watch(ctx, path) })
	running.Go(func() {
		err := s.daemon.Run(ctx)
		stop(err)
		done <- err
	})
	s.reloads(ctx, hup)
	if err = s.stop(ctx, done); !errors.Is(err, errForced) {
		running.Wait()
	} // a forced stop ends the process with its goroutines
	return err
}

// procs is the minimum number of threads that may run Go code, and fewest the minimum if an
// operator has set GOMAXPROCS. The loop that answers requests waits in the kernel and must run as
// soon as the wait returns. With fewer threads, a list of all credentials and the garbage collector
// may take all of them. The loop then waits for up to 10 ms although a processor may be free. The
// kernel schedules the loop's thread at once, even if there are more threads than processors.
const procs, fewest = 4, 2

// setProcs raises GOMAXPROCS to the minimum; set reports whether an operator has set it.
func setProcs(set bool) {
	least := procs
	if set {
		least = fewest
	}
	if runtime.GOMAXPROCS(0) < least {
		runtime.GOMAXPROCS(least)
	}
}

// load reads the configuration. A file that blocks, such as a FIFO, does not keep the daemon from
// stopping.
func (s *service) load(ctx context.Context) (*config.Config, error) {
	return within(ctx, 0, func() (*config.Config, error) {
		env := config.OSEnv()
		env.Judge.Reads = true
		if s.daemon != nil { // a reload, beside requests
			pause, end := s.daemon.LongWork(ctx)
			defer end()
			env.Pause = pause
		}
		return loadConfigFor(s.file, env)
	})
}

// open creates the daemon and returns the path of its socket.
func (s *service) open() (path string, err error) {
	var listeners []net.Listener
	if held := s.env.sockets; held != nil {
		if held.err != nil {
			return "", held.err
		}
		listeners = held.listeners
	}
	path = s.config.Socket
	if len(listeners) > 0 {
		path = listeners[0].Addr().String()
	}
	text := s.summary()
	s.daemon, err = daemon.New(daemon.Config{
		File:       s.config,
		Logger:     s.log,
		Audit:      s.log.audit,
		LogDropped: s.log.queue.Dropped,
		Version:    version(),
		Listeners:  listeners,
		Ready:      func() { s.systemd.ready(text) },
		Subuids:    "/etc/subuid",
		Reload:     s.reload,
		Stopping:   s.systemd.stopping,
	})
	return path, err
}

// reloads reads the configuration again at each SIGHUP, until ctx is done.
func (s *service) reloads(ctx context.Context, hup <-chan os.Signal) {
	for {
		select {
		case <-hup:
			_ = s.reload(ctx) // reload logs errors; a signal has no reply
		case <-ctx.Done():
			return
		}
	}
}

// stop waits until the daemon ends, or until a second signal.
func (s *service) stop(ctx context.Context, done <-chan error) error {
	// The signal that ended ctx has already been delivered, so again receives only the next one.
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	s.log.Info("stopping", "why", context.Cause(ctx))
	select {
	case err := <-done:
		return err
	case <-again:
		return errForced
	}
}

// reload applies the current configuration file. If the file has mistakes, reload logs and returns
// all of them and changes nothing. It also changes nothing if ctx ends while the daemon is still
// loading.
func (s *service) reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	defer footprint.Load()()
	s.systemd.reloading()
	file, err := s.load(ctx)
	if err == nil {
		err = s.daemon.Reload(ctx, file)
	}
	if err != nil {
		problems := split(err)
		for _, problem := range problems[:min(len(problems), maxLogged)] {
			s.log.Error("configuration refused, the old one stays in effect", "problem", problem)
		}
		s.more(len(problems))
		s.systemd.ready(s.summary() + "; the last reload was refused, see the log")
		return err
	}
	s.log.setLevel(hclog.LevelFromString(file.LogLevel))
	if file.LogFormat != s.config.LogFormat {
		s.log.Warn("log_format changes at the next start")
	}
	s.warn(file)
	s.config = file
	s.systemd.ready(s.summary())
	return nil
}

// warn logs the warnings of c.
func (s *service) warn(c *config.Config) {
	for _, p := range c.Warnings[:min(len(c.Warnings), maxLogged)] {
		s.log.Warn("configuration", "warning", p.String())
	}
	s.more(len(c.Warnings))
}

// maxLogged is the maximum number of logged problems or warnings of one configuration. There may be
// one for each account, which would fill the log queue.
const maxLogged = 100

// more logs how many problems or warnings were not logged.
func (s *service) more(n int) {
	if n > maxLogged {
		s.log.Warn("not all of the configuration's problems and warnings are logged: tokend check reports them", "more", n-maxLogged)
	}
}

// split returns the single problems of err.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

func (s *service) summary() string {
	return fmt.Sprintf("serving %s at %s", plural(s.config.Accounts(), "account"), s.config.Socket)
}
