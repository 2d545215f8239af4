package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/clientlib"
	"tokend/daemon/advice"
)

// show writes o for people: trouble first.
func (o *overview) show(env *environment, s *screen) {
	up := ""
	if at := o.count["started"]; at > 0 {
		up = env.sayf(", up %s", duration(time.Since(time.Unix(at, 0))))
	}
	s.wrapped(0, s.paint(bold, "tokend "+o.version)+env.sayf(" at %s", o.socket)+up)
	s.wrapped(0, byState(env, s, o.all))
	if n := o.count["undurable"]; n > 0 {
		s.println("")
		do := env.language().Advise(advice.Disk, advice.Subject{})
		s.wrapped(0, s.paint(red, env.sayf("the disk refuses %s: they are served from memory only; see the daemon's log", env.amount(int(n), "value"))))
		whatToDo(env, s, do)
	}
	o.trouble(env, s)
	o.showRevoked(env, s)
	if o.each != nil {
		o.alone(env, s)
	} else {
		o.families(env, s)
	}
	o.sinceStart(env, s)
}

// byState returns the number of credentials in each state: "6 fresh, 1 held".
func byState(env *environment, s *screen, all []clientlib.Listing) string {
	if len(all) == 0 {
		return env.say("no credentials: no account is configured, or none is visible to this user")
	}
	return env.sayf("%d credentials: %s", len(all), counted(s, all))
}

// counted returns the number of credentials in each state, the well ones first.
func counted(s *screen, all []clientlib.Listing) string {
	count := map[string]int{}
	for _, l := range all {
		count[l.State]++
	}
	var parts []string
	add := func(state string) {
		if n := count[state]; n > 0 {
			parts = append(parts, s.paint(styles[state], fmt.Sprintf("%d %s", n, state)))
			delete(count, state)
		}
	}
	for _, state := range append([]string{"fresh", "idle"}, attention...) {
		add(state)
	}
	for _, state := range slices.Sorted(maps.Keys(count)) { // of a later version
		add(state)
	}
	return strings.Join(parts, ", ")
}

// trouble writes what needs attention, by cause.
func (o *overview) trouble(env *environment, s *screen) {
	if len(o.causes) == 0 && len(o.unasked) == 0 {
		return
	}
	s.println("")
	s.println(s.paint(bold, env.say("needs attention")))
	for i := range o.causes {
		if i == causesShown {
			s.wrapped(2, env.sayf("and %d more causes: tokend status --json", len(o.causes)-i))
			break
		}
		o.causes[i].show(env, s)
		whatToDo(env, s, o.causes[i].advise(env.language()))
	}
	if len(o.unasked) > 0 {
		s.wrapped(2, env.sayf("and %d more: %s; to list them: tokend list", len(o.unasked), counted(s, o.unasked)))
	}
}

// show writes the names and the reason of c.
func (c *cause) show(env *environment, s *screen) {
	for i, l := range c.ttls {
		if i == namesOfCause {
			s.wrapped(2, env.sayf("and %d more for the same reason: tokend list", len(c.ttls)-i))
			break
		}
		s.println("  " + l.Name)
	}
	text := s.paint(styles[c.state], c.state)
	if ttl := c.ttls[0].TTL; ttl > 0 && len(c.ttls) == 1 {
		text += env.sayf(", valid for %s", duration(ttl))
	}
	if c.first["last_error"] != "" {
		text += ": " + reason(env, c.first)
	}
	if again := retried(env, c.first); again != "" {
		text += "; " + again
	}
	s.wrapped(4, text)
	if n := len(c.also); n > 0 {
		s.wrapped(4, env.sayf("unavailable because of it: %s", list(env, c.also)))
	}
}

// list returns the first of names and the number of the others.
func list(env *environment, names []string) string {
	if len(names) <= namesOfCause {
		return strings.Join(names, ", ")
	}
	return env.sayf("%s and %d more", strings.Join(names[:namesOfCause], ", "), len(names)-namesOfCause)
}

// reason returns the last error, in Chinese where the errcode is known.
func reason(env *environment, d details) string {
	code, err := strconv.Atoi(d["errcode"])
	if env.language() != advice.Chinese || err != nil {
		return d["last_error"]
	}
	meaning := advice.Chinese.Meaning(d["name"], code)
	if meaning == "" {
		return d["last_error"]
	}
	text := fmt.Sprintf("errcode=%d %s", code, meaning)
	if d["address"] != "" {
		text += "：" + d["address"]
	}
	if _, rid, ok := strings.Cut(d["last_error"], " rid: "); ok {
		text += " rid: " + rid
	}
	return text
}

// retried returns when the next fetch is, for a credential whose last one failed.
func retried(env *environment, d details) string {
	switch until := d["hold_until"]; until {
	case "":
		return ""
	case "action":
		return env.say("no retry until an operator acts")
	default:
		return env.sayf("next retry %s", forPeople(env, clientlib.Pair{Key: "hold_until", Value: until}))
	}
}

// whatToDo writes an advice, with its command on a line of its own.
func whatToDo(env *environment, s *screen, do advice.Advice) {
	if do.Text == "" {
		return
	}
	s.wrapped(4, env.sayf("What to do: %s", do.Text))
	if do.Command != "" {
		s.println("      " + s.paint(bold, do.Command))
	}
}

// showRevoked writes how many customers of each owner have revoked their authorization.
func (o *overview) showRevoked(env *environment, s *screen) {
	for i, owner := range slices.Sorted(maps.Keys(o.revoked)) {
		if i == 0 {
			s.println("")
			s.println(s.paint(bold, env.say("revoked authorizations")))
		}
		s.wrapped(2, env.sayf("%s: %s; to list them: tokend list %s/", owner, env.amount(o.revoked[owner], "customer"), owner))
	}
}

// barWidth is the width of a bar in columns.
const barWidth = 12

// alone writes a line for each credential.
func (o *overview) alone(env *environment, s *screen) {
	if len(o.all) == 0 {
		return
	}
	s.println("")
	s.println(s.paint(bold, env.say("credentials")))
	var g grid
	for _, l := range o.all {
		row := []cell{{text: l.Name}, {text: l.State, style: styles[l.State]}}
		if part, ok := o.each[l.Name].left(l.TTL); ok {
			row = append(row, cell{text: strings.Repeat(" ", barWidth), drawn: s.bar(part, barWidth)}, cell{text: duration(l.TTL)})
		}
		g.row(row...)
	}
	g.write(s, 2)
}

// left returns which part of its life a value has left, 0 to 1.
func (d details) left(ttl time.Duration) (float64, bool) {
	from, err := time.Parse(time.RFC3339, d["fetched_at"])
	to, wrong := time.Parse(time.RFC3339, d["expires_at"])
	if err != nil || wrong != nil || ttl <= 0 || !to.After(from) {
		return 0, false
	}
	return min(float64(ttl)/float64(to.Sub(from)), 1), true
}

// families writes a line for each family: what is configured is too much to show.
func (o *overview) families(env *environment, s *screen) {
	byFamily := map[string][]clientlib.Listing{}
	for _, l := range o.all {
		family, _, _ := strings.Cut(l.Name, "/")
		byFamily[family] = append(byFamily[family], l)
	}
	s.println("")
	s.println(s.paint(bold, env.say("credentials")))
	var g grid
	for _, family := range slices.Sorted(maps.Keys(byFamily)) {
		all := byFamily[family]
		owners := map[string]bool{}
		var next clientlib.Listing
		for _, l := range all {
			owners[ownerOf(l.Name)] = true
			if l.TTL > 0 && (next.Name == "" || l.TTL < next.TTL) {
				next = l
			}
		}
		row := []cell{{text: family}, {text: env.amount(len(owners), "account")}, {text: counted(&screen{}, all), drawn: counted(s, all)}}
		if next.Name != "" {
			row = append(row, cell{text: env.sayf("shortest life %s", duration(next.TTL)), style: dim})
		}
		g.row(row...)
	}
	g.write(s, 2)
	s.wrapped(2, env.say("to list them: tokend list FAMILY/"))
}

// ownerOf returns the owner of a credential: family/owner.
func ownerOf(name string) string {
	family, rest, _ := strings.Cut(name, "/")
	owner, _, _ := strings.Cut(rest, "/")
	return path.Join(family, owner)
}

// sinceStart writes the most useful counters.
func (o *overview) sinceStart(env *environment, s *screen) {
	s.println("")
	s.println(s.paint(bold, env.say("since the daemon started")))
	var g grid
	row := func(name string, n int64, rest string) {
		g.row(cell{text: name}, cell{text: grouped(n)}, cell{text: rest})
	}
	row(env.say("reads"), o.count["reads"], env.sayf("%s from memory", grouped(o.count["hits"])))
	row(env.say("rejects"), o.count["rejects"], "")
	if pushes, refused := pushed(o.count); pushes+refused > 0 {
		row(env.say("pushes"), pushes+refused, env.sayf("%s refused", grouped(refused)))
	}
	row(env.say("calls upstream"), o.count["calls"], "")
	for _, p := range o.stats {
		if path, ok := strings.CutPrefix(p.Key, "calls:"); ok {
			failed := ""
			if n := o.count["failed:"+path]; n > 0 {
				failed = env.sayf("%s failed", grouped(n))
			}
			row("  "+path, o.count[p.Key], failed)
		}
	}
	g.write(s, 2)
	if n := o.count["pushes_refused:owner"]; n > 0 {
		s.wrapped(2, env.sayf("%s named no configured platform or suite: compare the address in WeChat's console", env.amount(int(n), "refused push")))
	}
	if at := o.count["last_backup"]; at > 0 {
		s.wrapped(2, env.sayf("last backup %s ago", duration(time.Since(time.Unix(at, 0)))))
	}
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

// clearScreen is what a terminal is sent before a live overview.
const clearScreen = "\x1b[H\x1b[2J\x1b[3J"

// refreshEvery is the time between two drawings of a live overview.
const refreshEvery = 2 * time.Second
