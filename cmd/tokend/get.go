package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newGet(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print a credential that is valid now",
		Long: `Print the value of a credential, and a newline. The value is valid now; if tokend holds
none, it is fetched first, once for all who ask.`,
		Example: `  tokend get official_account/wx0123456789abcdef/access_token
  curl "https://api.weixin.qq.com/cgi-bin/get_api_domain_ip?access_token=$(tokend get official_account/wx0123456789abcdef/access_token)"`,
		Args:              takes("NAME"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				v, err := c.Get(ctx, args[0])
				return printValue(env, v, err)
			})
		},
	}
	a.flags(cmd)
	return cmd
}

// printValue writes a value and nothing else: the one place of the command where a
// credential leaves it.
func printValue(env *environment, v clientlib.Credential, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, string(v.Value))
	return err
}
