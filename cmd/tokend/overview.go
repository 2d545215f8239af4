package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"tokend/clientlib"
)

// attention is the states that need an operator, most urgent first: no value for an unknown time,
// no value for a known time, an aging value.
var attention = []string{"held", "expired", "waiting", "stale"}

// shownAtMost is the maximum number of credentials that an overview shows. If more need attention,
// most have the same cause.
const shownAtMost = 10

// overview shows the state of the daemon.
func (a *asker) overview(ctx context.Context, c *clientlib.Client, asJSON bool) error {
	version, err := c.Version(ctx)
	if err != nil {
		return err
	}
	stats, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		o := object{{"version", version}}
		for _, p := range stats {
			o = append(o, member{p.Key, number(p.Value)})
		}
		return printJSON(a.env.stdout, []object{o})
	}
	all, err := c.List(ctx, "")
	if err != nil {
		return err
	}
	w := a.env.stdout
	fmt.Fprintf(w, "tokend %s at %s\n", version, a.path())
	fmt.Fprintf(w, "%s\n", byState(all))
	count := counters(stats)
	if n := count["undurable"]; n > 0 {
		fmt.Fprintf(w, "\nthe disk refuses %s: they are served from memory only; see the daemon's log\n", plural(int(n), "value"))
	}
	if err := a.needsAttention(ctx, c, all); err != nil {
		return err
	}
	return a.sinceStart(stats, count)
}

// counters returns the stats that are numbers.
func counters(stats []clientlib.Pair) map[string]int64 {
	count := map[string]int64{}
	for _, p := range stats {
		if n, ok := number(p.Value).(int64); ok {
			count[p.Key] = n
		}
	}
	return count
}

// byState returns the number of credentials in each state: "6 fresh, 1 held".
func byState(all []clientlib.Listing) string {
	if len(all) == 0 {
		return "no credentials: no account is configured, or none is visible to this user"
	}
	count := map[string]int{}
	for _, l := range all {
		count[l.State]++
	}
	var parts []string
	for _, state := range append([]string{"fresh", "idle"}, attention...) {
		if n := count[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
			delete(count, state)
		}
	}
	for state, n := range count { // of a later version
		parts = append(parts, fmt.Sprintf("%d %s", n, state))
	}
	return fmt.Sprintf("%d credentials: %s", len(all), strings.Join(parts, ", "))
}

// needsAttention shows the credentials that need attention, with the reason.
func (a *asker) needsAttention(ctx context.Context, c *clientlib.Client, all []clientlib.Listing) error {
	var bad []clientlib.Listing
	var gone []string
	for _, l := range all {
		switch {
		case !slices.Contains(attention, l.State):
		case isGrant(l.Name) && l.State == "held":
			gone = append(gone, l.Name)
		default:
			bad = append(bad, l)
		}
	}
	a.revoked(gone)
	if len(bad) == 0 {
		return nil
	}
	slices.SortStableFunc(bad, func(a, b clientlib.Listing) int {
		return cmp.Compare(slices.Index(attention, a.State), slices.Index(attention, b.State))
	})
	w := a.env.stdout
	fmt.Fprintf(w, "\nneeds attention\n")
	for i, l := range bad {
		if i == shownAtMost {
			fmt.Fprintf(w, "  and %d more: tokend list\n", len(bad)-i)
			break
		}
		pairs, err := c.Status(ctx, l.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\n    %s\n", l.Name, why(l, pairs))
	}
	return nil
}

// isGrant reports whether name is the name of a grant.
func isGrant(name string) bool {
	word := path.Base(name)
	return word == "refresh_token" || word == "permanent_code"
}

// revoked shows how many customers of each owner have revoked their authorization. Over the years
// they may be many, and most need no attention, so they are only counted.
func (a *asker) revoked(grants []string) {
	count := map[string]int{}
	for _, name := range grants {
		count[path.Dir(path.Dir(name))]++
	}
	w := a.env.stdout
	for i, owner := range slices.Sorted(maps.Keys(count)) {
		if i == 0 {
			fmt.Fprintf(w, "\nrevoked authorizations\n")
		}
		fmt.Fprintf(w, "  %s: %s; to list them: tokend list %s/\n", owner, plural(count[owner], "customer"), owner)
	}
}

// why describes in a line what is wrong with a credential.
func why(l clientlib.Listing, status []clientlib.Pair) string {
	parts := []string{l.State}
	if l.TTL > 0 {
		parts[0] += ", valid for " + duration(l.TTL)
	}
	for _, p := range status {
		switch {
		case p.Value == "-":
		case p.Key == "last_error":
			parts[0] += ": " + p.Value
		case p.Key == "hold_until" && p.Value == "action":
			parts = append(parts, "no retry until an operator acts")
		case p.Key == "hold_until":
			parts = append(parts, "next retry "+forPeople(p))
		}
	}
	return strings.Join(parts, "; ")
}

// sinceStart shows the most useful counters of the daemon.
func (a *asker) sinceStart(stats []clientlib.Pair, count map[string]int64) error {
	w := a.env.stdout
	fmt.Fprintf(w, "\nsince the daemon started\n")
	t := newTable(w)
	t.row("  reads", grouped(count["reads"]), grouped(count["hits"])+" from memory")
	t.row("  rejects", grouped(count["rejects"]), "")
	if pushes, refused := pushed(count); pushes+refused > 0 {
		t.row("  pushes", grouped(pushes+refused), grouped(refused)+" refused")
	}
	t.row("  calls upstream", grouped(count["calls"]), "")
	for _, p := range stats {
		if path, ok := strings.CutPrefix(p.Key, "calls:"); ok {
			t.row("    "+path, p.Value, "")
		}
	}
	return t.flush()
}

// pushed returns the number of genuine pushes that were stored, and of pushes that were not genuine
// or could not be stored.
func pushed(count map[string]int64) (taken, refused int64) {
	for key, n := range count {
		if strings.HasPrefix(key, "pushes:") {
			taken += n
		}
	}
	failed := count["pushes_failed"] // also counted by kind
	return taken - failed, count["pushes_refused"] + failed
}
