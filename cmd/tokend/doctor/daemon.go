package doctor

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/clientlib"
	"tokend/daemon/advice"
)

// daemonState is what the running daemon has told.
type daemonState struct {
	version string
	stats   map[string]string
	all     []clientlib.Listing
}

// daemon reports whether the daemon answers this user, and reads its state. It returns false if
// nothing more can be learned from the daemon.
func (d *Doctor) daemon(ctx context.Context) bool {
	var err error
	if d.state.version, err = d.Client.Version(ctx); err != nil {
		d.fail(d.Exit(err), "socket", d.Socket, d.Message(err), d.Hint(err))
		return false
	}
	d.ok("socket", d.Socket, d.say("the daemon answers"))
	stats, err := d.Client.Stats(ctx)
	if err == nil {
		d.state.all, err = d.Client.List(ctx, "")
	}
	if err != nil {
		d.fail(d.Exit(err), "rights", d.Socket, d.Message(err), d.say("run: sudo tokend doctor"))
		return false
	}
	d.state.stats = map[string]string{}
	for _, p := range stats {
		d.state.stats[p.Key] = p.Value
	}
	if _, all := d.state.stats["started"]; !all {
		d.warn("rights", d.Socket, d.say("this user sees a part of the state only"), d.say("run: sudo tokend doctor"))
	} else {
		d.ok("rights", d.Socket, d.say("this user may use LIST, STATUS and STATS"))
	}
	return true
}

// version compares the versions of the daemon and of this program.
func (d *Doctor) version() {
	if d.state.version != d.Version {
		d.warn("version", "", d.say("the daemon is %s, this program %s", d.state.version, d.Version), d.say("restart the daemon: sudo systemctl restart tokend"))
		return
	}
	d.ok("version", "", d.say("daemon and program: %s", d.Version))
}

// number returns a counter of the daemon.
func (d *Doctor) number(key string) int64 {
	n, _ := strconv.ParseInt(d.state.stats[key], 10, 64)
	return n
}

// store reports whether the disk takes the daemon's writes.
func (d *Doctor) store() {
	if n := d.number("undurable"); n > 0 {
		do := d.Language.Advise(advice.Disk, advice.Subject{})
		d.fail(exitFailed, "store", d.stateDir(), d.say("%d values are served from memory only", n), do.String())
	}
}

// credentials reports what needs attention.
func (d *Doctor) credentials() {
	count := map[string]int{}
	bad := 0
	for _, l := range d.state.all {
		count[l.State]++
		switch l.State {
		case "held", "expired", "waiting", "stale":
			if !isGrant(l.Name) {
				bad++
			}
		}
	}
	if bad > 0 {
		d.fail(exitFailed, "credentials", "", d.say("%d of %d need attention", bad, len(d.state.all)), d.say("run: tokend status"))
		return
	}
	d.ok("credentials", "", d.say("none of %d needs attention", len(d.state.all)))
}

func isGrant(name string) bool {
	word := path.Base(name)
	return word == "refresh_token" || word == "permanent_code"
}

// details returns the status of a credential by key, without the keys that are "-".
func (d *Doctor) details(ctx context.Context, name string) map[string]string {
	pairs, err := d.Client.Status(ctx, name)
	if err != nil {
		return nil
	}
	m := map[string]string{}
	for _, p := range pairs {
		if p.Value != "-" {
			m[p.Key] = p.Value
		}
	}
	return m
}

// examined is the maximum number of credentials in trouble that address asks about.
const examined = 50

// address reports this host's address as WeChat sees it, if WeChat has named it in a refusal.
func (d *Doctor) address(ctx context.Context) {
	asked := 0
	for _, l := range d.state.all {
		if l.State != "held" && l.State != "stale" && l.State != "expired" || isGrant(l.Name) {
			continue
		}
		if asked++; asked > examined {
			break
		}
		m := d.details(ctx, l.Name)
		if m["advice"] != string(advice.Address) {
			continue
		}
		do := d.Language.Advise(advice.Address, advice.Subject{Name: l.Name, Address: m["address"]})
		text := d.say("WeChat does not accept this host's address")
		if m["address"] != "" {
			text = d.say("WeChat sees %s, and does not accept it", m["address"])
		}
		d.fail(exitFailed, "address", m["address"], text, do.String())
		return
	}
	d.skip("address", "", d.say("not refused: WeChat names the address it sees only in a refusal"))
}

// pushes reports for each platform and suite whether WeChat's pushes arrive.
func (d *Doctor) pushes(ctx context.Context) {
	for _, l := range d.state.all {
		if word := path.Base(l.Name); word != "component_verify_ticket" && word != "suite_ticket" {
			continue
		}
		m := d.details(ctx, l.Name)
		do := d.Language.Advise(advice.Ticket, advice.Subject{Name: l.Name})
		last, err := time.Parse(time.RFC3339, m["fetched_at"])
		switch {
		case m == nil:
			continue // removed by a reload
		case l.State == "waiting" && err != nil:
			d.fail(exitLater, "pushes", l.Name, d.say("no push has arrived"), do.String())
		case l.State == "waiting" || l.State == "stale":
			d.fail(exitLater, "pushes", l.Name, d.say("no push has arrived for %s", ago(last)), do.String())
		default:
			d.ok("pushes", l.Name, d.say("the last push arrived %s ago", ago(last)))
		}
		for part := range strings.SplitSeq(m["pushes_refused"], ",") {
			if cause, n, ok := strings.Cut(part, "="); ok {
				d.warn("pushes", l.Name, d.say("refused pushes: %s, %s", n, cause), d.Language.Refusal(cause))
			}
		}
	}
	if n := d.number("pushes_refused:owner"); n > 0 {
		d.warn("pushes", "", d.say("refused pushes: %s, %s", strconv.FormatInt(n, 10), "owner"), d.Language.Refusal("owner"))
	}
}

// backup reports the time since the last backup.
func (d *Doctor) backup() {
	remedy := d.say("run every day: sudo tokend backup --force /var/backups/tokend.backup")
	at := d.number("last_backup")
	switch since := ago(time.Unix(at, 0)); {
	case at > 0 && since > 24*time.Hour:
		d.warn("backup", "", d.say("the last backup was made %s ago", since), remedy)
	case at > 0:
		d.ok("backup", "", d.say("the last backup was made %s ago", since))
	case slices.ContainsFunc(d.state.all, func(l clientlib.Listing) bool { return isGrant(l.Name) }):
		d.warn("backup", "", d.say("no backup has been made: only the customers can replace lost grants"), remedy)
	default:
		d.ok("backup", "", d.say("no backup is needed: tokend stores no grants"))
	}
}
