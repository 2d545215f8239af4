package main

import (
	"context"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newReject(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "reject NAME VALUE",
		Short: "Hand back a value that WeChat refused, and print the one to use in its place",
		Long: `Hand back a value that WeChat refused as invalid or expired, and print the one to use in its
place. It is replaced only if it is still the current one, and once for all who say so.

A VALUE of - is read from standard input. Prefer that: what stands on a command line
can be seen by every user of the host, and a value may begin with a dash.`,
		Example:           `  echo "$token" | tokend reject official_account/wx0123456789abcdef/access_token -`,
		Args:              takes("NAME", "VALUE"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := valueOf(cmd.Context(), args[1], env.stdin)
			if err != nil {
				return badInput(cmd, err)
			}
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				v, err := c.Reject(ctx, args[0], value)
				return printValue(env, v, err)
			})
		},
	}
	a.flags(cmd)
	return cmd
}
