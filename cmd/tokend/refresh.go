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
		Short: "Fetch a credential now, whatever is held, and print it",
		Long: `Fetch a credential from WeChat now, also one that tokend has stopped asking for, and
print it. This spends quota: of a stable access token 20 a day, 30 seconds apart. It is granted to
root and tokend's own user unless the configuration says otherwise.

It is not repeated when the connection breaks, since it may have been carried out.`,
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
