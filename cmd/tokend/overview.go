package main

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"tokend/clientlib"
	"tokend/daemon/advice"
)

// attention is the states that need an operator, most urgent first: no value for an unknown time,
// no value for a known time, an aging value.
var attention = []string{"held", "expired", "waiting", "stale"}

// Bounds of an overview. If more credentials need attention, most have the same cause.
const (
	examined     = 200 // credentials in trouble whose cause is asked for, in a text
	namesOfCause = 4   // names that a text shows for one cause
	causesShown  = 10  // causes that a text shows
	shownAlone   = 50  // credentials that a text shows one by one; more are counted
)

// overview is the state of a daemon.
type overview struct {
	version string
	socket  string
	stats   []clientlib.Pair
	count   map[string]int64
	all     []clientlib.Listing

	causes  []cause
	unasked []clientlib.Listing // in trouble, but not examined
	revoked map[string]int      // grants that customers have revoked, by owner

	// each is the status of all credentials, if they are few; nil otherwise.
	each map[string]details
}

// details is the status of a credential, by key. Values that are "-" are left out.
type details map[string]string

// cause is credentials that are in trouble for one reason.
type cause struct {
	state string
	first details // the status of the first of names
	ttls  []clientlib.Listing
	also  []string // names that are unavailable because of these

	pairs [][]clientlib.Pair // the status of each, for JSON
}

// errAttention is the error of an overview that shows trouble.
const errAttention = statusError(exitFailed)

// gather asks the daemon for an overview. most is the maximum number of credentials in trouble to
// ask for; 0 for all.
func (a *asker) gather(ctx context.Context, c *clientlib.Client, most int) (*overview, error) {
	o := &overview{socket: a.path(), revoked: map[string]int{}}
	var err error
	if o.version, err = c.Version(ctx); err != nil {
		return nil, err
	}
	if o.stats, err = c.Stats(ctx); err != nil {
		return nil, err
	}
	if o.all, err = c.List(ctx, ""); err != nil {
		return nil, err
	}
	o.count = counters(o.stats)
	if err := o.examine(ctx, c, most); err != nil {
		return nil, err
	}
	if len(o.all) > shownAlone {
		return o, nil
	}
	each, err := inspect(ctx, c, o.all)
	o.each = map[string]details{}
	for _, t := range each {
		o.each[t.Name] = t.details
	}
	return o, err
}

// ofOne reports whether err is about one credential, which a reload may have removed.
func ofOne(err error) bool {
	_, ok := errors.AsType[*clientlib.Error](err)
	return ok
}

// detailsOf returns pairs by key.
func detailsOf(pairs []clientlib.Pair) details {
	d := make(details, len(pairs))
	for _, p := range pairs {
		if p.Value != "-" {
			d[p.Key] = p.Value
		}
	}
	return d
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

// troubled returns the credentials that need attention, the most urgent first. Over the years,
// customers who have revoked their authorization may be many, and most need no attention, so they
// are only counted.
func (o *overview) troubled() (bad []clientlib.Listing) {
	for _, l := range o.all {
		switch {
		case !slices.Contains(attention, l.State):
		case isGrant(l.Name) && l.State == "held":
			o.revoked[path.Dir(path.Dir(l.Name))]++
		default:
			bad = append(bad, l)
		}
	}
	slices.SortStableFunc(bad, func(a, b clientlib.Listing) int {
		return cmp.Compare(slices.Index(attention, a.State), slices.Index(attention, b.State))
	})
	return bad
}

// isGrant reports whether name is the name of a grant.
func isGrant(name string) bool {
	word := path.Base(name)
	return word == "refresh_token" || word == "permanent_code"
}

// examine finds the causes of trouble. A credential that is unavailable because of its parent
// belongs to its parent's cause.
func (o *overview) examine(ctx context.Context, c *clientlib.Client, most int) error {
	bad := o.troubled()
	if most > 0 && len(bad) > most {
		bad, o.unasked = bad[:most], bad[most:]
	}
	all, err := inspect(ctx, c, bad)
	if err != nil {
		return err
	}
	at := map[string]int{} // by name, in all
	for i, t := range all {
		at[t.Name] = i
	}
	causes := map[string]int{} // by key, in o.causes
	of := make([]int, len(all))
	root := func(i int) int {
		for range 4 { // the longest chain of parents
			parent, ok := at[all[i].details["parent"]]
			if !ok || all[i].details["advice"] != string(advice.Parent) && all[i].State != "waiting" {
				break
			}
			i = parent
		}
		return i
	}
	for i, t := range all {
		if root(i) != i {
			continue
		}
		key := t.State + " " + t.details.why()
		k, met := causes[key]
		if !met {
			k = len(o.causes)
			causes[key] = k
			o.causes = append(o.causes, cause{state: t.State, first: t.details})
		}
		of[i] = k
		o.causes[k].ttls = append(o.causes[k].ttls, t.Listing)
		o.causes[k].pairs = append(o.causes[k].pairs, t.pairs)
	}
	for i, t := range all {
		if r := root(i); r != i {
			o.causes[of[r]].also = append(o.causes[of[r]].also, t.Name)
		}
	}
	return nil
}

// inspected is a credential with its status.
type inspected struct {
	clientlib.Listing
	pairs   []clientlib.Pair
	details details
}

// inspect asks for the status of each credential. Those that a reload has removed are left out. If
// this user may not see a status, it is the listing alone.
func inspect(ctx context.Context, c *clientlib.Client, list []clientlib.Listing) (all []inspected, err error) {
	for _, l := range list {
		pairs, err := c.Status(ctx, l.Name)
		switch {
		case errors.Is(err, clientlib.ErrDenied):
			pairs = []clientlib.Pair{{Key: "name", Value: l.Name}, {Key: "state", Value: l.State}}
		case ofOne(err):
			continue
		case err != nil:
			return nil, err
		}
		all = append(all, inspected{l, pairs, detailsOf(pairs)})
	}
	return all, nil
}

// why returns a text that is the same for credentials that are in trouble for one reason: the last
// error, without the ID of the request.
func (d details) why() string {
	text := d["last_error"]
	if before, _, ok := strings.Cut(text, " rid: "); ok {
		text = before
	}
	if d["advice"] == string(advice.Ticket) {
		return text + d["name"] // each platform has an address of its own in the console
	}
	return text
}

// healthy reports whether nothing needs attention.
func (o *overview) healthy() bool {
	return len(o.causes) == 0 && len(o.unasked) == 0 && o.count["undurable"] == 0
}

// topic returns what is wrong.
func (c *cause) topic() advice.Topic { return advice.Topic(c.first["advice"]) }

// advise returns what to do about c, in a language.
func (c *cause) advise(l advice.Language) advice.Advice {
	return l.Advise(c.topic(), advice.Subject{Name: c.first["name"], Parent: c.first["parent"], Address: c.first["address"]})
}
