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
		Short: "Report a value that WeChat refused, and print the one to use instead",
		Long: `Report a value that WeChat refused as invalid or expired, and print the one to use instead. tokend
fetches a new value only if the refused one is still current, and once for all clients that report
it.

A VALUE of - is read from standard input. Prefer -, since every user of the host can see command
lines, and a value may begin with a dash.`,
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
