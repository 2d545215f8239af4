package page

import (
	"cmp"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
)

// view is a survey in one language, ready for the template.
type view struct {
	*words
	Style template.CSS

	Running, At, Stamp string // since when, and the current time
	Release            string
	Good               bool

	Bad       []row
	Owners    []owner
	Crowds    []crowd
	Held      []held
	Quotas    []quota
	Endpoints []endpoint
	Used      []string // the hosts in use

	ReadCount, HitCount, WaitCount, ErrorCount string
	OpenCount, TurnedCount                     string
	PushCount, PushRefusedCount                string
	RefreshCount, RefreshFailedCount           string
	Refusing, Unread                           bool
}

// owner is an account and its credentials.
type owner struct {
	Family, ID string
	Rows       []row
}

// row is a credential. Empty texts are not shown.
type row struct {
	Name, Word         string
	State, StateText   string
	Left, Next, NextAt string
	Fingerprint        string
	Fetched            string
	Error, Code, Since string
	Advice, Again      string
	Lost               bool
	Also               []string // names that are unavailable because of this credential
}

// crowd is the customers' credentials of one kind of a platform.
type crowd struct {
	Platform, Kind string
	Counts         []count
}

// count is the number of credentials in a state.
type count struct{ State, Text, N string }

// held is a group of customers' credentials on hold.
type held struct{ Kind, N, Why, Advice string }

// quota is a budget that is partly used.
type quota struct {
	Account, Name, Within string
	Spent, Limit          int
	Low, High             int // where the meter becomes yellow, and red
}

// endpoint is the calls to one path.
type endpoint struct{ Path, Calls, Refused, Unreachable, Average string }

// of returns v in the language of w.
func (w *words) of(v *survey.Survey) *view {
	p := &view{
		words: w, Style: template.CSS(style), Release: v.Version,
		Running: w.span(v.At.Sub(v.Began)), At: v.At.UTC().Format("2006-01-02 15:04:05 UTC"), Stamp: v.At.UTC().Format(time.RFC3339),
		ReadCount: grouped(v.Socket.Reads), HitCount: grouped(v.Socket.Hits), WaitCount: grouped(v.Socket.Waits),
		OpenCount: grouped(v.Socket.Open), TurnedCount: grouped(v.Socket.TurnedAway),
		RefreshCount:       grouped(v.Refreshes.OK + v.Refreshes.Same + v.Refreshes.Failed),
		RefreshFailedCount: grouped(v.Refreshes.Failed),
		Refusing:           v.Store.Refusing,
		Unread:             v.Loading,
	}
	for i := range v.Credentials {
		c := &v.Credentials[i]
		r := w.row(c, v.At)
		var family, id string
		family, id, r.Word = table(c.Name)
		if n := len(p.Owners); n == 0 || p.Owners[n-1].ID != id || p.Owners[n-1].Family != w.Families[family] {
			p.Owners = append(p.Owners, owner{Family: w.Families[family], ID: id})
		}
		last := &p.Owners[len(p.Owners)-1]
		last.Rows = append(last.Rows, r)
	}
	p.Bad = w.troubles(v)
	p.Good = len(p.Bad) == 0 && !p.Refusing
	w.customers(p, v)
	w.numbers(p, v)
	return p
}

// table returns the account in whose table a credential is shown, and its name in that table. A
// downstream corp's credential is in its app's table.
func table(name string) (family, id, word string) {
	account, word := path.Split(name)
	account = strings.TrimSuffix(account, "/")
	if strings.Count(account, "/") == 3 {
		corp := path.Base(account)
		account, word = path.Dir(account), corp+"/"+word
	}
	family, id, _ = strings.Cut(account, "/")
	return family, id, word
}

// row returns a credential as of now.
func (w *words) row(c *credential.Status, now time.Time) row {
	r := row{
		Name: c.Name, Word: path.Base(c.Name), State: c.State.String(), StateText: w.States[c.State.String()],
		Fingerprint: c.Fingerprint, Error: c.LastError, Advice: w.Language.About(c).String(), Lost: !c.Durable,
	}
	if c.TTL > 0 {
		r.Left = w.span(c.TTL)
	}
	// For pushed tickets, NextRefresh is an alarm.
	if !c.NextRefresh.IsZero() && !c.Pushed {
		r.Next = w.span(max(c.NextRefresh.Sub(now), 0))
		r.NextAt = c.NextRefresh.Format(time.RFC3339)
	}
	if !c.FetchedAt.IsZero() {
		r.Fetched = c.FetchedAt.Format(time.RFC3339)
	}
	if c.ErrCode != 0 {
		r.Code = strconv.Itoa(c.ErrCode)
	}
	if !c.ErrorAt.IsZero() {
		r.Since = c.ErrorAt.Format("2006-01-02 15:04:05 UTC")
	}
	switch {
	case c.LastError == "":
	case !c.HoldUntil.IsZero():
		r.Again = fmt.Sprintf(w.Again, w.span(max(c.HoldUntil.Sub(now), 0)))
	case c.Held:
		r.Again = w.NotAgain
	}
	return r
}

// urgency is the states that need attention, the most urgent first.
var urgency = []credential.State{credential.Held, credential.Expired, credential.Waiting, credential.Stale}

// troubles returns what needs attention, the most urgent first. A credential that is unavailable
// because of its parent is listed with the parent.
func (w *words) troubles(v *survey.Survey) []row {
	bad := map[string]*credential.Status{}
	for i := range v.Credentials {
		c := &v.Credentials[i]
		if c.LastError != "" || !c.Durable || slices.Contains(urgency, c.State) {
			bad[c.Name] = c
		}
	}
	also := map[string][]string{}
	var roots []*credential.Status
	for i := range v.Credentials {
		c := bad[v.Credentials[i].Name]
		if c == nil {
			continue
		}
		root := c
		for root.Durable && (root.Derived || root.State == credential.Waiting) && bad[root.Parent] != nil {
			root = bad[root.Parent]
		}
		if root == c {
			roots = append(roots, c)
		} else {
			also[root.Name] = append(also[root.Name], c.Name)
		}
	}
	slices.SortStableFunc(roots, func(a, b *credential.Status) int {
		// As a uint, -1 is last.
		return cmp.Compare(uint(slices.Index(urgency, a.State)), uint(slices.Index(urgency, b.State)))
	})
	var rows []row
	for _, c := range roots {
		r := w.row(c, v.At)
		r.Also = also[c.Name]
		rows = append(rows, r)
	}
	return rows
}

// customers fills in the counts of customers' credentials, the holds and the quotas.
func (w *words) customers(p *view, v *survey.Survey) {
	for _, c := range v.Census.Customers {
		shown := crowd{Platform: c.Platform, Kind: c.Kind}
		for state, n := range c.States {
			if n > 0 {
				word := credential.State(state).String()
				shown.Counts = append(shown.Counts, count{word, w.States[word], grouped(int64(n))})
			}
		}
		p.Crowds = append(p.Crowds, shown)
	}
	for _, h := range v.Census.Holds {
		if !slices.ContainsFunc(v.Census.Customers, func(c credential.CustomerStates) bool { return c.Kind == h.Kind }) {
			continue // configured credentials have rows of their own
		}
		p.Held = append(p.Held, held{h.Kind, grouped(int64(h.N)), w.why(h), w.remedy(h)})
	}
	for _, q := range v.Quotas {
		if q.Spent == 0 {
			continue
		}
		shown := quota{Account: q.Account, Name: w.Quotas[q.Word], Within: w.span(q.Window), Spent: q.Spent, Limit: q.Limit,
			Low: q.Limit / 2, High: q.Limit * 9 / 10}
		if shown.Account == "" {
			shown.Account = w.WeCom
		}
		if shown.Name == "" {
			shown.Name = q.Word
		}
		p.Quotas = append(p.Quotas, shown)
	}
	slices.SortStableFunc(p.Quotas, func(a, b quota) int { return cmp.Compare(b.Spent*a.Limit, a.Spent*b.Limit) })
}

// numbers fills in the counters since the start.
func (w *words) numbers(p *view, v *survey.Survey) {
	var failed, pushed int64
	for _, e := range v.Socket.Errors {
		failed += e.N
	}
	for _, k := range v.Pushes.Kinds {
		pushed += k.N
	}
	p.ErrorCount, p.PushCount, p.PushRefusedCount = grouped(failed), grouped(pushed-v.Pushes.Failed), grouped(v.Pushes.Refused+v.Pushes.Failed)
	for _, h := range v.Hosts {
		if h.Used && !slices.Contains(p.Used, h.Name) {
			p.Used = append(p.Used, h.Name)
		}
	}
	for _, e := range v.Endpoints {
		shown := endpoint{Path: e.Path, Calls: grouped(e.Calls()), Refused: grouped(e.Refused), Unreachable: grouped(e.Unreachable)}
		if n := e.Calls(); n > 0 {
			shown.Average = strconv.FormatInt((e.Took/time.Duration(n)).Milliseconds(), 10) + " ms"
		}
		p.Endpoints = append(p.Endpoints, shown)
	}
}

// span returns d in its two largest units.
func (w *words) span(d time.Duration) string {
	units := [...]time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}
	d = d.Truncate(time.Second)
	for i, unit := range units {
		if d < unit && unit > time.Second {
			continue
		}
		text := strconv.FormatInt(int64(d/unit), 10) + w.Units[i]
		if rest := d % unit; i+1 < len(units) && rest >= units[i+1] {
			text += " " + strconv.FormatInt(int64(rest/units[i+1]), 10) + w.Units[i+1]
		}
		return text
	}
	return ""
}

// grouped returns n with separated thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
