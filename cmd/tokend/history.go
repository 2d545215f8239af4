package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newHistory(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Show the last refreshes of a credential, newest first",
		Long: `Show the last refreshes of a credential, at most 20, newest first: time, cause and outcome. They
survive a restart. RID is the request id that WeChat's support asks for.`,
		Example:           "  tokend history official_account/wx0123456789abcdef/access_token",
		Args:              takes("NAME"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				all, err := c.History(ctx, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printHistoryJSON(env, all)
				}
				return printHistory(env, all)
			})
		},
	}
	a.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printHistory(env *environment, all []clientlib.Attempt) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(env.stdout, env.say("no refresh yet"))
		return err
	}
	t := newTable(env.stdout)
	t.row("TIME", "CAUSE", "OUTCOME", "ERRCODE", "TOOK", "RID")
	for _, at := range all {
		t.row(clock(at.Time), at.Cause, at.Outcome, fmt.Sprint(at.ErrCode), at.Took.Round(time.Millisecond).String(), cmp.Or(at.RID, "-"))
	}
	return t.flush()
}

func printHistoryJSON(env *environment, all []clientlib.Attempt) error {
	objects := make([]object, 0, len(all))
	for _, at := range all {
		objects = append(objects, object{
			{"time", at.Time.UTC().Format(time.RFC3339)},
			{"cause", at.Cause},
			{"outcome", at.Outcome},
			{"errcode", int64(at.ErrCode)},
			{"rid", cmp.Or(at.RID, "-")},
			{"ms", at.Took.Milliseconds()},
		})
	}
	return printJSON(env.stdout, objects)
}
