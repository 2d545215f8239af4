package main

import (
	"context"
	"errors"
	"fmt"
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
		Short: "Be the daemon: fetch, keep, refresh and answer",
		Long: `Be the daemon, in the foreground, until SIGTERM or SIGINT; a second one ends it at once. SIGHUP
reads the configuration again, as tokend reload does: if anything is wrong with it, the old one stays. The
log goes to standard error.

Started by systemd, it takes its socket from a .socket unit if there is one, and reports when it is
ready, reloads and stops (Type=notify, WatchdogSec=).`,
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

	reloading sync.Mutex // serialises reload, which guards config once the daemon runs
}

// errForced says that a stop was not waited for.
var errForced = errors.New("stopped at once by a second signal")

// run serves until ctx is done.
func (s *service) run(ctx context.Context) (err error) {
	signal.Ignore(syscall.SIGPIPE) // to systemd the end by that signal is a clean one, after which nothing is restarted
	unsafe := harden()
	if s.config, err = s.load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before anything began
		}
		return err
	}
	s.log = newServiceLog(s.env, s.config)
	s.systemd = manager{s.log}
	// From here to the end of the process, so that no SIGHUP ever kills it.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	path, err := s.open()
	if err != nil {
		return err
	}
	// Not before: what keeps it from running is the one line that matters.
	s.warn(s.config)
	if unsafe != nil {
		s.log.Warn("secrets may end up in a core dump", "error", unsafe)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	setProcs(os.Getenv("GOMAXPROCS") != "")
	var running sync.WaitGroup
	done := make(chan error, 1) // holds the one error, so that a forced stop leaves nobody blocked
	running.Go(func() { s.systemd.watch(ctx, path) })
	running.Go(func() {
		err := s.daemon.Run(ctx)
		stop(err)
		done <- err
	})
	s.reloads(ctx, hup)
	if err = s.stop(ctx, done); !errors.Is(err, errForced) {
		running.Wait()
	} // else the process ends, and with it what runs
	return err
}

// procs is how many threads may run Go code at least, and fewest where an operator has set another
// number. The loop that answers requests waits in the kernel and wants to run the moment it
// returns. With fewer threads a walk through all credentials and the garbage collector take all
// that there are, and the loop waits for up to 10 ms although a processor may be free. The kernel
// lets it run at once, also where there are more threads than processors.
const procs, fewest = 4, 2

// setProcs raises GOMAXPROCS; set says that an operator has set it.
func setProcs(set bool) {
	least := procs
	if set {
		least = fewest
	}
	if runtime.GOMAXPROCS(0) < least {
		runtime.GOMAXPROCS(least)
	}
}

// load reads the configuration. A file that blocks, a FIFO for example, does not keep the daemon
// from stopping.
func (s *service) load(ctx context.Context) (*config.Config, error) {
	return within(ctx, 0, func() (*config.Config, error) { return loadConfig(s.file) })
}

// open makes the daemon, and returns the path at which it will answer.
func (s *service) open() (path string, err error) {
	listeners, err := inherited()
	if err != nil {
		return "", err
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
			_ = s.reload(ctx) // which logs it; nobody waits for an answer to a signal
		case <-ctx.Done():
			return
		}
	}
}

// stop waits for the daemon to end, or for a signal that will not have it waited for.
func (s *service) stop(ctx context.Context, done <-chan error) error {
	// The signal that ended ctx has been handed to everybody who had asked for
	// it, so this is told of the next one.
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

// reload puts the configuration file in force as it is now. If anything is wrong with it, all of
// that is logged and returned, and nothing changes; nor when ctx ends while the daemon is still
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
			s.log.Error("configuration refused, the old one stays", "problem", problem)
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

// warn logs what is allowed in c and probably not meant.
func (s *service) warn(c *config.Config) {
	for _, p := range c.Warnings[:min(len(c.Warnings), maxLogged)] {
		s.log.Warn("configuration", "warning", p.String())
	}
	s.more(len(c.Warnings))
}

// maxLogged is how many problems or warnings of one configuration are logged. There may be one for
// each account, and they would fill the queue of the log.
const maxLogged = 100

// more logs that n problems or warnings were too many.
func (s *service) more(n int) {
	if n > maxLogged {
		s.log.Warn("not all of the configuration's problems and warnings are logged: tokend check reports them", "more", n-maxLogged)
	}
}

// split returns the single problems that err is made of.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

func (s *service) summary() string {
	return fmt.Sprintf("serving %s at %s", plural(accounts(s.config), "account"), s.config.Socket)
}
