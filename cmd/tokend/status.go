package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/daemon/advice"
)

func newStatus(env *environment) *cobra.Command {
	a := &asker{env: env}
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the state of the daemon or of one credential",
		Long: `Without a NAME: the daemon's version, the number of credentials in each state, what needs attention,
why, and what to do. The counters of reads and calls since the daemon started follow. The exit
status is 1 if anything needs attention. Up to 50 credentials are shown one by one, more are counted.
NO_COLOR turns colors off.

With a NAME: everything about that credential except its value. For a credential that waits for a
push: since when, the refused pushes, and the address to enter in WeChat's console.

With --json: an array of one object. Its keys are those of STATUS or, without a NAME, version and
those of STATS, and attention, revoked, states and endpoints.`,
		Example:           "  tokend status\n  tokend status --watch\n  tokend status official_account/wx0123456789abcdef/access_token",
		Args:              takes("[NAME]"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case watch && (asJSON || len(args) > 0):
				return &usageError{text: "status: --watch is for the overview as text", command: cmd}
			case watch:
				return a.live(cmd)
			}
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				if len(args) == 0 {
					return a.overview(ctx, c, asJSON)
				}
				return a.status(ctx, c, args[0], asJSON)
			})
		},
	}
	a.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&watch, "watch", false, "show the overview again every 2 s until interrupted")
	return cmd
}

// overview shows the state of the daemon. Its error is errAttention if anything needs attention.
func (a *asker) overview(ctx context.Context, c *clientlib.Client, asJSON bool) error {
	most := examined
	if asJSON {
		most = 0
	}
	o, err := a.gather(ctx, c, most)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(a.env.stdout, []object{o.object(a.env.language())})
	} else {
		var text strings.Builder
		s := a.env.screen()
		s.w = &text
		o.show(a.env, &s)
		_, err = fmt.Fprint(a.env.stdout, text.String())
	}
	if err == nil && !o.healthy() {
		return errAttention
	}
	return err
}

// live shows the overview repeatedly, until it is interrupted. If the daemon is down, live
// shows that and waits for it.
func (a *asker) live(cmd *cobra.Command) error {
	for first := true; ; first = false {
		var text strings.Builder
		s := a.env.screen()
		s.w = &text
		err := a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
			o, err := a.gather(ctx, c, examined)
			if err == nil {
				o.show(a.env, &s)
			}
			return err
		})
		if cmd.Context().Err() != nil {
			return nil
		}
		if _, wrong := errors.AsType[*usageError](err); wrong || err != nil && first {
			return err
		}
		if err != nil {
			text.Reset()
			report(a.env, &text, err)
		}
		s.println("")
		s.println(s.paint(dim, a.env.sayf("every %s, now %s", refreshEvery, time.Now().Format(time.TimeOnly))))
		if s.width > 0 {
			_, _ = fmt.Fprint(a.env.stdout, clearScreen)
		}
		if _, err := fmt.Fprint(a.env.stdout, text.String()); err != nil {
			return err
		}
		select {
		case <-cmd.Context().Done():
			return nil // an interrupted watch is a success
		case <-time.After(refreshEvery):
		}
	}
}

// status shows one credential.
func (a *asker) status(ctx context.Context, c *clientlib.Client, name string, asJSON bool) error {
	pairs, err := c.Status(ctx, name)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.env.stdout, []object{statusObject(pairs)})
	}
	if err := printStatus(a.env, pairs); err != nil {
		return err
	}
	d := detailsOf(pairs)
	ticket := d
	for range 4 { // the longest chain of parents
		if ticket["state"] != "waiting" || ticket["parent"] == "" {
			break
		}
		parent, err := c.Status(ctx, ticket["parent"])
		if err != nil {
			break // a user may see a child only
		}
		ticket = detailsOf(parent)
	}
	var text strings.Builder
	s := a.env.screen()
	s.w = &text
	do := a.env.language().Advise(advice.Topic(d["advice"]), advice.Subject{Name: d["name"], Parent: d["parent"], Address: d["address"]})
	if ticket["advice"] == string(advice.Ticket) {
		stats, err := c.Stats(ctx)
		if err != nil {
			stats = nil // not granted: the explanation has less
		}
		explainWaiting(a.env, &s, ticket, counters(stats))
		do = advice.Advice{} // the explanation has it
	}
	if do.Text != "" {
		s.println("")
		whatToDo(a.env, &s, do)
	}
	_, err = fmt.Fprint(a.env.stdout, text.String())
	return err
}

// explainWaiting writes since when no push has arrived for a ticket, how many were refused and why,
// and where WeChat's console has the address.
func explainWaiting(env *environment, s *screen, ticket details, count map[string]int64) {
	s.println("")
	s.println(s.paint(bold, env.sayf("waiting for a push of %s", ticket["name"])))
	switch at := count["started"]; {
	case ticket["fetched_at"] != "":
		s.wrapped(2, env.sayf("no push has arrived since %s", forPeople(env, clientlib.Pair{Value: ticket["fetched_at"]})))
	case at > 0:
		started := time.Unix(at, 0).Format(time.RFC3339)
		s.wrapped(2, env.sayf("no push has arrived since the daemon started, %s", forPeople(env, clientlib.Pair{Value: started})))
	default:
		s.wrapped(2, env.say("no push has arrived since the daemon started"))
	}
	if refused := ticket["pushes_refused"]; refused != "" {
		s.wrapped(2, env.sayf("refused pushes, the last one %s:", forPeople(env, clientlib.Pair{Value: ticket["refused_at"]})))
		for part := range strings.SplitSeq(refused, ",") {
			cause, n, _ := strings.Cut(part, "=")
			s.wrapped(4, strings.TrimSuffix(n+" "+cause+": "+env.language().Refusal(cause), ": "))
		}
	} else {
		s.wrapped(2, env.say("no push to this address was refused: WeChat does not push, or its pushes do not reach tokend"))
	}
	if n := count["pushes_refused:owner"]; n > 0 {
		s.wrapped(2, env.sayf("%d pushes named an owner that is not configured: %s", n, env.language().Refusal("owner")))
	}
	if callback, ok := env.language().Callback(ticket["name"]); ok {
		s.wrapped(2, env.sayf("enter in the console: %s", callback.String()))
		s.wrapped(2, env.say("(your domain in place of example.com; the web server forwards /callback/ to [http] listen)"))
	}
}

// printStatus writes a line for each key that has a value.
func printStatus(env *environment, pairs []clientlib.Pair) error {
	t := newTable(env.stdout)
	for _, p := range pairs {
		if p.Value != "-" {
			t.row(p.Key, forPeople(env, p))
		}
	}
	return t.flush()
}

// forPeople adds the distance to a time, and converts seconds to a duration.
func forPeople(env *environment, p clientlib.Pair) string {
	if at, err := time.Parse(time.RFC3339, p.Value); err == nil {
		if d := time.Until(at); d > 0 {
			return clock(at) + env.sayf(" (in %s)", duration(d))
		}
		return clock(at) + env.sayf(" (%s ago)", duration(time.Since(at)))
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
