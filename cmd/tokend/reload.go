package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newReload(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Have the daemon read its configuration again, and wait until that is in force. What has not changed is
neither fetched again nor interrupted. If anything is wrong with it the old one stays, the exit status is 2, and the
daemon's log names every problem. It is for root and tokend's own user; the log says who it was.

SIGHUP to the daemon does the same, and neither waits nor tells.`,
		Example: "  tokend check && tokend reload",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error { return c.Reload(ctx) })
			if errors.Is(err, clientlib.ErrDenied) {
				return &hintedError{err, hintNoRule}
			}
			return err
		},
	}
	a.flags(cmd)
	return cmd
}
