package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newGet(env *environment) *cobra.Command {
	a := &asker{env: env}
	var ttl bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print a valid value",
		Long: `Print the value of a credential, followed by a newline. The value is valid now. If tokend has no
valid value, it fetches one, once for all waiting clients. With --ttl, the seconds that the value is
still valid precede it.`,
		Example: `  tokend get official_account/wx0123456789abcdef/access_token
  curl "https://api.weixin.qq.com/cgi-bin/get_api_domain_ip?access_token=$(tokend get official_account/wx0123456789abcdef/access_token)"`,
		Args:              takes("NAME"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				v, err := c.Get(ctx, args[0])
				if err == nil && ttl {
					if _, err := fmt.Fprint(env.stdout, int64(v.TTL/time.Second), " "); err != nil {
						return err
					}
				}
				return printValue(env, v, err)
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&ttl, "ttl", false, "print the remaining seconds and the value")
	return cmd
}

// printValue writes a value and nothing else. Only this function prints values.
func printValue(env *environment, v clientlib.Credential, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, string(v.Value))
	return err
}
