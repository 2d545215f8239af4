package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/daemon"
)

// asker holds the flags that all client commands share.
type asker struct {
	env     *environment
	socket  string
	timeout time.Duration
}

// flags adds the flags of an asker to cmd.
func (a *asker) flags(cmd *cobra.Command) { a.flagsWithin(cmd, clientlib.DefaultTimeout) }

// flagsWithin adds the flags with another default timeout.
func (a *asker) flagsWithin(cmd *cobra.Command, timeout time.Duration) {
	cmd.Flags().StringVar(&a.socket, "socket", "", "the daemon's `PATH` (default $TOKEND_SOCKET, then "+clientlib.DefaultSocket+")")
	cmd.Flags().DurationVar(&a.timeout, "timeout", timeout, "limit for waiting on a reply")
}

func (a *asker) path() string {
	named := cmp.Or(a.socket, a.env.getenv("TOKEND_SOCKET"))
	if named == "" && os.Geteuid() == 0 && answers(operatorSocket) {
		return operatorSocket
	}
	return cmp.Or(named, clientlib.DefaultSocket)
}

// operatorSocket is the socket for root on this host. It works even if others fill the queue of the
// shared socket.
var operatorSocket = daemon.OperatorSocket("/var/lib/tokend")

// answers reports whether a process listens at path. A socket file that a killed daemon left does
// not count: the shared socket may belong to systemd, which starts another daemon.
func answers(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// ask calls f with a client and a context that ends after the timeout. Its error is f's, as an
// *askError.
func (a *asker) ask(cmd *cobra.Command, f func(ctx context.Context, c *clientlib.Client) error) error {
	if a.timeout <= 0 {
		return &usageError{text: cmd.Name() + ": --timeout must be positive", command: cmd}
	}
	c := &clientlib.Client{Socket: a.path(), Timeout: a.timeout}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return a.failed(f(ctx, c))
}

// failed adds the socket and the timeout to a non-nil err.
func (a *asker) failed(err error) error {
	if err == nil {
		return nil
	}
	return &askError{err, a.path(), a.timeout}
}

// names completes the name of a credential from the daemon's list.
func (a *asker) names(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []cobra.Completion
	// Without a daemon there is nothing to complete and no error to show.
	_ = a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		all, err := c.List(ctx, begun)
		for _, l := range all {
			found = append(found, l.Name)
		}
		return err
	})
	return found, cobra.ShellCompDirectiveNoFileComp
}

// owners completes a platform or a suite. Each has a ticket in the daemon's list.
func (a *asker) owners(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names, directive := a.names(cmd, args, begun)
	var found []cobra.Completion
	for _, name := range names {
		if owner, word := path.Split(name); word == "component_verify_ticket" || word == "suite_ticket" {
			found = append(found, strings.TrimSuffix(owner, "/"))
		}
	}
	return found, directive
}

// askError is a failed request to a daemon.
type askError struct {
	err     error
	socket  string
	timeout time.Duration
}

func (e *askError) Error() string { return e.err.Error() }
func (e *askError) Unwrap() error { return e.err }

func isAsked(err error) bool {
	_, ok := errors.AsType[*askError](err)
	return ok
}
