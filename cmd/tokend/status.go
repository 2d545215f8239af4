package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newStatus(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the state of the daemon or of one credential",
		Long: `Without a NAME: the daemon's version, the number of credentials in each state, what needs attention
and why, and the counters of reads and calls since the daemon started.

With a NAME: everything about that credential except its value.

With --json: an array of one object. Its keys are those of STATUS or, without a NAME, version and
those of STATS.`,
		Example:           "  tokend status\n  tokend status official_account/wx0123456789abcdef/access_token",
		Args:              takes("[NAME]"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				if len(args) == 0 {
					return a.overview(ctx, c, asJSON)
				}
				pairs, err := c.Status(ctx, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(env.stdout, []object{statusObject(pairs)})
				}
				return printStatus(env, pairs)
			})
		},
	}
	a.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// printStatus writes a line for each key that has a value.
func printStatus(env *environment, pairs []clientlib.Pair) error {
	t := newTable(env.stdout)
	for _, p := range pairs {
		if p.Value != "-" {
			t.row(p.Key, forPeople(p))
		}
	}
	return t.flush()
}

// forPeople adds the distance to a time, and converts seconds to a duration.
func forPeople(p clientlib.Pair) string {
	if at, err := time.Parse(time.RFC3339, p.Value); err == nil {
		if d := time.Until(at); d > 0 {
			return clock(at) + " (in " + duration(d) + ")"
		}
		return clock(at) + " (" + duration(time.Since(at)) + " ago)"
	}
	if n, ok := number(p.Value).(int64); ok && p.Key == "ttl" {
		return duration(time.Duration(n) * time.Second)
	}
	return p.Value
}

// numeric lists the keys of STATUS whose values are numbers.
var numeric = []string{"ttl", "errcode", "failures", "generations"}

func statusObject(pairs []clientlib.Pair) object {
	o := make(object, 0, len(pairs))
	for _, p := range pairs {
		m := member{p.Key, p.Value}
		if slices.Contains(numeric, p.Key) {
			m.value = number(p.Value)
		}
		o = append(o, m)
	}
	return o
}
