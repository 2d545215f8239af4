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
		Short: "Hand in a pushed ticket or a customer's grant, read from standard input",
		Long: `Hand in what tokend cannot fetch: a ticket that WeChat has pushed to somebody else, or a customer's
grant, a refresh_token or permanent_code. The value is all of standard input, without the newline at its
end; it is never taken from the command line, which every user of the host can see.

When the command ends with status 0, the value is safely on disk. A grant can never be read again,
and the one before it is kept. It is granted to root and tokend's own user unless the configuration
says otherwise.`,
		Example: `  tokend put open_platform/wx0123456789abcdef/wxfedcba9876543210/refresh_token < refresh_token.txt
  tokend put open_work/ww0123456789abcdef/suite_ticket < suite_ticket.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 { // it is not repeated: it may be the value
				return &usageError{text: "put: the value is taken from standard input and not from the command line, which others can see", command: cmd}
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
