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
		Short: "Turn an authorization code into a customer's grant, and print whose it is",
		Long: `Turn the authorization code that a customer's browser has brought back into a grant, keep that, and
print OWNER/CUSTOMER, which the names of the customer's credentials begin with. OWNER is
open_platform/<component_appid> or open_work/<suite_id>.

A CODE of - is read from standard input. Prefer that: what stands on a command line can be seen by
every user of the host. WeChat takes a code once; the same one again is answered from memory.`,
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
					// It is the code that was refused, and not what the call needs besides.
					return &hintedError{err, "a code is good for one platform or suite, for a short while: have the customer authorise once more"}
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
