package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newWatch(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch [PREFIX]",
		Short: "List the credentials, then print every change until interrupted",
		Long: `List the credentials whose names begin with PREFIX, or all of them, then print a line for each
change of a value or a state, until interrupted. --timeout limits only the start. With --json, each
line is an object with the keys time, name, state and ttl.`,
		Args:              takes("[PREFIX]"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			show := a.printChange
			if asJSON {
				show = a.printChangeJSON
			}
			return a.watch(cmd, first(args), show)
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object in each line")
	return cmd
}

func (a *asker) watch(cmd *cobra.Command, prefix string, show func(clientlib.Listing) error) error {
	return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
		w, err := c.Watch(ctx, prefix)
		if err != nil {
			return err
		}
		defer w.Close()
		for _, l := range w.List() {
			if err := show(l); err != nil {
				return err
			}
		}
		for {
			// Not ctx: the timeout applies only to the start of the watch.
			l, err := w.Next(cmd.Context())
			if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
				return nil // an interrupted watch is a success
			}
			if err != nil {
				return err
			}
			if err := show(l); err != nil {
				return err
			}
		}
	})
}

// printChange writes a line at once. It cannot align columns, since it does not know later names.
func (a *asker) printChange(l clientlib.Listing) error {
	_, err := fmt.Fprintf(a.env.stdout, "%s  %-7s  %-6s  %s\n", time.Now().Format(time.TimeOnly), l.State, left(l.TTL), l.Name)
	return err
}

// printChangeJSON is printChange for programs.
func (a *asker) printChangeJSON(l clientlib.Listing) error {
	line, err := json.Marshal(object{
		{"time", time.Now().UTC().Format(time.RFC3339)}, {"name", l.Name}, {"state", l.State}, {"ttl", seconds(l.TTL)},
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.env.stdout, "%s\n", line)
	return err
}
