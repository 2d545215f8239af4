package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/protocol"
)

func newExchange(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "exchange OWNER CODE",
		Short: "Exchange an authorization code for a grant, and print the customer",
		Long: `Exchange the authorization code from a customer's browser for a grant, store the grant, and print
OWNER/CUSTOMER, the prefix of the names of the customer's credentials. OWNER is
open_platform/<component_appid> or open_work/<suite_id>.

A CODE of - is read from standard input. Prefer -, since every user of the host can see command
lines. WeChat accepts a code once. If the same code is submitted again, tokend repeats its result
from memory.`,
		Example:           `  echo "$code" | tokend exchange open_platform/wx0123456789abcdef -`,
		Args:              takes("OWNER", "CODE"),
		ValidArgsFunction: a.owners,
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := valueOf(cmd.Context(), args[1], env.stdin)
			if err != nil {
				return badInput(cmd, err)
			}
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				customer, err := c.Exchange(ctx, args[0], code)
				if refusal, ok := errors.AsType[*protocol.Error](err); ok && refusal.Code == protocol.Upstream && refusal.RetryAfter == protocol.Never {
					// WeChat refused the code itself.
					return &hintedError{err, "a code works for one platform or suite and expires soon: ask the customer to authorize again"}
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(env.stdout, customer)
				return err
			})
		},
	}
	a.flags(cmd)
	return cmd
}
