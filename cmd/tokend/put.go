package main

import (
	"context"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newPut(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Store a pushed ticket or a grant from standard input",
		Long: `Store a value that tokend cannot fetch: a ticket that WeChat pushed to another program, or a
customer's grant (refresh_token or permanent_code). The value is all of standard input, without a
newline at its end. It is never read from the command line, which every user of the host can see.

If the exit status is 0, the value is durable. A grant cannot be read back, and the previous grant is
kept. It requires root or tokend's own user unless the configuration grants it.`,
		Example: `  tokend put open_platform/wx0123456789abcdef/wxfedcba9876543210/refresh_token < refresh_token.txt
  tokend put open_work/ww0123456789abcdef/suite_ticket < suite_ticket.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 { // not quoted: it may be the value
				return &usageError{text: "put: the value is read from standard input, not from the command line, which others can see", command: cmd}
			}
			return takes("NAME")(cmd, args)
		},
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := checked(allOf(cmd.Context(), env.stdin))
			if err != nil {
				return badInput(cmd, err)
			}
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				return c.Put(ctx, args[0], value)
			})
		},
	}
	a.flags(cmd)
	return cmd
}
