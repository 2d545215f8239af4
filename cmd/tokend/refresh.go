package main

import (
	"context"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newRefresh(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "refresh NAME",
		Short: "Fetch a new value at once, also during a hold, and print it",
		Long: `Fetch a new value from WeChat at once, also during a hold, and print it. This spends quota: for a
stable access token 20 a day, 30 seconds apart. It requires root or tokend's own user unless the
configuration grants it.

The request is not repeated when the connection breaks, since the daemon may have executed it.`,
		Example:           "  tokend refresh work/ww0123456789abcdef/1000002/access_token",
		Args:              takes("NAME"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				v, err := c.Refresh(ctx, args[0])
				return printValue(env, v, err)
			})
		},
	}
	a.flags(cmd)
	return cmd
}
