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

// attention is the states that somebody should look at, the most urgent first: no value
// and no end of it in sight, no value, a value that is running out.
var attention = []string{"held", "expired", "waiting", "stale"}

// shownAtMost is how many credentials an overview tells about one by one; where more need
// attention, they mostly do for the same reason.
const shownAtMost = 10

// overview shows how the daemon is doing.
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
		fmt.Fprintf(w, "\nthe disk refuses %s: what is served of them is in memory only; the daemon's log says why\n", plural(int(n), "value"))
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

// byState returns how many credentials stand where: "6 fresh, 1 held".
func byState(all []clientlib.Listing) string {
	if len(all) == 0 {
		return "no credentials: the configuration names no account, or this user may see none"
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

// needsAttention shows what is not as it should be, and why.
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

// isGrant reports whether name is that of a customer's grant.
func isGrant(name string) bool {
	word := path.Base(name)
	return word == "refresh_token" || word == "permanent_code"
}

// revoked shows how many customers of whom have taken their authorization back, by the names of
// their grants. There may be many of them over the years, and most of them need no attention.
func (a *asker) revoked(grants []string) {
	count := map[string]int{}
	for _, name := range grants {
		count[path.Dir(path.Dir(name))]++
	}
	w := a.env.stdout
	for i, owner := range slices.Sorted(maps.Keys(count)) {
		if i == 0 {
			fmt.Fprintf(w, "\nauthorizations taken back\n")
		}
		fmt.Fprintf(w, "  %s: %s; which: tokend list %s/\n", owner, plural(count[owner], "customer"), owner)
	}
}

// why says in a line what is the matter with a credential.
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
			parts = append(parts, "not asked again before somebody acts")
		case p.Key == "hold_until":
			parts = append(parts, "asked again "+forPeople(p))
		}
	}
	return strings.Join(parts, "; ")
}

// sinceStart shows those of the daemon's counters that are of interest to everybody.
func (a *asker) sinceStart(stats []clientlib.Pair, count map[string]int64) error {
	w := a.env.stdout
	fmt.Fprintf(w, "\nsince the daemon was started\n")
	t := newTable(w)
	t.row("  reads", grouped(count["reads"]), grouped(count["hits"])+" of them answered from memory")
	t.row("  rejects", grouped(count["rejects"]), "")
	if pushes, refused := pushed(count); pushes+refused > 0 {
		t.row("  pushes", grouped(pushes+refused), grouped(refused)+" of them refused")
	}
	t.row("  calls upstream", grouped(count["calls"]), "")
	for _, p := range stats {
		if path, ok := strings.CutPrefix(p.Key, "calls:"); ok {
			t.row("    "+path, p.Value, "")
		}
	}
	return t.flush()
}

// pushed returns how many genuine messages WeChat has pushed, and how many were none or could
// not be kept.
func pushed(count map[string]int64) (taken, refused int64) {
	for key, n := range count {
		if strings.HasPrefix(key, "pushes:") {
			taken += n
		}
	}
	failed := count["pushes_failed"] // counted by their kinds too
	return taken - failed, count["pushes_refused"] + failed
}
