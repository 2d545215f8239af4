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
		Short: "Apply the configuration file",
		Long: `Make the daemon read its configuration file again, and wait until the new configuration is in effect.
Unchanged accounts are neither fetched again nor interrupted. If the file has a mistake, the daemon
keeps the old configuration and logs every mistake, and the exit status is 2. It requires root or
tokend's own user. The daemon logs the user.

SIGHUP to the daemon does the same, but neither waits nor reports the result.`,
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
