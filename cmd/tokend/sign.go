package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newSign(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sign NAME URL",
		Short: "Print the JS-SDK signature of a page",
		Long: `Print the JS-SDK signature of the page URL: timestamp, nonce and signature in one line. NAME is a
jsapi_ticket or an agent_config_ticket, which is not shown. WeChat ignores what follows a # in URL,
so tokend does not sign it.`,
		Example:           "  tokend sign official_account/wx0123456789abcdef/jsapi_ticket https://example.com/page?id=7",
		Args:              takes("NAME", "URL"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				s, err := c.Sign(ctx, args[0], args[1])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(env.stdout, []object{{{"timestamp", s.Timestamp}, {"nonce", s.Nonce}, {"signature", s.Signature}}})
				}
				_, err = fmt.Fprintln(env.stdout, s.Timestamp, s.Nonce, s.Signature)
				return err
			})
		},
	}
	a.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
