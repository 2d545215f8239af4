package main

import (
	"context"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newList(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the credentials with state and remaining lifetime",
		Long: `List the credentials whose names begin with PREFIX, or all of them. Nothing is fetched.

  fresh     valid
  stale     valid, but the last refresh failed
  expired   no valid value
  waiting   no valid value until WeChat pushes a ticket
  held      no valid value, and no fetch until an operator acts or a time has passed
  idle      never requested`,
		Example:           "  tokend list official_account/",
		Args:              takes("[PREFIX]"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				all, err := c.List(ctx, first(args))
				if err != nil {
					return err
				}
				if asJSON {
					return printListingsJSON(env, all)
				}
				return printListings(env, all)
			})
		},
	}
	a.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printListings(env *environment, all []clientlib.Listing) error {
	t := newTable(env.stdout)
	t.row("NAME", "STATE", "TTL")
	for _, l := range all {
		t.row(l.Name, l.State, left(l.TTL))
	}
	return t.flush()
}

func printListingsJSON(env *environment, all []clientlib.Listing) error {
	objects := make([]object, 0, len(all))
	for _, l := range all {
		objects = append(objects, object{
			{"name", l.Name},
			{"state", l.State},
			{"ttl", seconds(l.TTL)},
		})
	}
	return printJSON(env.stdout, objects)
}

// first returns the first of args, or "".
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
