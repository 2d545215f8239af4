package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
)

// view is a page in one language, ready to be written.
type view struct {
	*words
	Seq   int64
	Title string

	Running   tick
	At, Stamp string
	Release   string
	Here      string // the link to this page in the other language
	Home      string // the link to the first page
	Missing   bool   // the credential that was asked for is not configured

	Text, InFamily string // of the filter

	Total      string
	Bad        string // the number of credentials that need attention; "" for none
	Good       bool
	Refusing   advice.Advice // what to do about a disk that refuses writes
	Loading    bool
	Tiles      []tile
	TicketList []ticket
	Warnings   []quota
	Articles   []article
	Unexamined string // the number of credentials in trouble that are not in Articles
	AllBad     string // the link to all of them

	Families  []familyView
	States    []option
	Matching  string // how many credentials match
	NextLink  string
	NextText  string
	FirstLink string // the link to the beginning of the list
	Empty     string // why there is no credential

	Feed    []event
	Crowds  []crowd
	Held    []held
	Quotas  []quota
	Numbers figures
	Detail  *detail
}

// tile is the number of credentials in a state.
type tile struct {
	State, Text, N, Link string
	On                   bool // the filter is this state
}

// option is a choice of the filter.
type option struct {
	Value, Text string
	On          bool
}

// ticket is a pushed ticket.
type ticket struct {
	Name, Link, ID, Kind, State, StateText string
	Age                                    tick
}

// article is something that needs attention.
type article struct {
	State, StateText string
	Heading, Link    string // a name and its page, or a kind of trouble
	Members          []link
	Others           string // the number of further members
	Message          string
	Left             *tick
	Lost             bool
	Advice           advice.Advice
	Also             []link
	AlsoOthers       string
	Since, Again     string
}

// link is a credential and its page.
type link struct{ Name, Link string }

// familyView is a family and those of its credentials that are shown.
type familyView struct {
	ID         string // of the element
	Word, Text string
	N          string
	Match      string // how many match the filter; "" without a filter
	Counts     []tile
	Open       bool
	Link       string // opens or closes the family
	Body       markup // its rows
}

// row is a credential in the list.
type row struct {
	ID, Name, Link   string
	Word             string
	State, StateText string
	Key              string // differs if something has changed besides times that run
	Width            int    // of the bar of its life, 0 to 100
	From, Until      int64
	Left, Age, Next  tick
	Error, ErrorFull string
	Users            string
	Lost             bool
}

// event is a refresh in the feed.
type event struct {
	Name, Link, Clock, ISO string
	Class, Cause, Outcome  string
}

// crowd is the customers' credentials of one kind of a platform.
type crowd struct {
	Platform, Kind string
	Counts         []tile
}

// held is a group of customers' credentials on hold.
type held struct {
	Kind, N, Why string
	Advice       advice.Advice
}

// quota is a budget that is partly used.
type quota struct {
	Account, Name, Within string
	Spent, Limit          int
	Low, High             int // where the meter becomes yellow, and red
}

// figures is the counters since the start.
type figures struct {
	Reads, Hits, Waits, Errors, Open, TurnedOff string
	Refreshes, Failed, Pushes, PushesRefused    string
	Hosts                                       string
	Endpoints                                   []endpoint
}

// endpoint is the calls to one path.
type endpoint struct{ Path, Calls, Refused, Unreachable, Average string }

// base fills in what all pages have.
func (w *words) base(s *snapshot, q query) *view {
	v := &view{
		words: w, Text: q.text, InFamily: q.family, Seq: s.seq, Release: s.Version, Title: "tokend",
		Running: tick{Text: w.span(s.At.Sub(s.Began)), At: s.Began.Unix(), As: "up", ISO: s.Began.UTC().Format(time.RFC3339)},
		At:      s.At.UTC().Format("2006-01-02 15:04:05 UTC"), Stamp: s.At.UTC().Format(time.RFC3339),
		Home: query{}.values(w.Code), Total: grouped(len(s.rows)), Good: s.bad == 0 && !s.Store.Refusing, Loading: s.Loading,
	}
	if s.bad > 0 {
		v.Bad = grouped(s.bad)
	}
	if s.Store.Refusing {
		v.Refusing = w.Language.Advise(advice.Disk, advice.Subject{})
	}
	return v
}

// page returns the link to the page of a credential.
func (w *words) page(name string) string {
	return "credential" + query{text: name}.values(w.Code)
}

// overview fills in the first page, except the rows of credentials.
func (w *words) overview(s *snapshot, q query, sel selection) *view {
	v := w.base(s, q)
	v.Here = q.values(w.Other)
	w.top(v, s, q)
	w.attention(v, s)
	w.feed(v, s)
	w.customers(v, s)
	v.Quotas = w.quotas(s.quotas, 0)
	v.Numbers = w.figures(s)
	for _, word := range states() {
		v.States = append(v.States, option{Value: word, Text: w.stateText(word), On: word == q.state})
	}
	match := 0
	for i, f := range s.families {
		v.Families = append(v.Families, w.family(f, q, sel.counts[i], sel.open[i]))
		match += sel.counts[i]
	}
	if q.filters() {
		v.Matching = fmt.Sprintf(w.Matches, grouped(match), grouped(len(s.rows)))
	}
	if sel.next != "" {
		after := q
		after.after = sel.next
		v.NextLink, v.NextText = after.values(w.Code), fmt.Sprintf(w.Next, grouped(maxRows))
	}
	if !sel.first {
		v.FirstLink = q.with(q.family).values(w.Code)
	}
	switch {
	case len(s.rows) == 0 && !s.Loading:
		v.Empty = w.Nothing
	case q.filters() && match == 0:
		v.Empty = w.NoMatch
	}
	return v
}

// stateText returns the text of a state's word.
func (w *words) stateText(state string) string { return cmp.Or(w.States[state], state) }

// top fills in the totals.
func (w *words) top(v *view, s *snapshot, q query) {
	for _, state := range []credential.State{credential.Fresh, credential.Stale, credential.Expired, credential.Waiting, credential.Held, credential.Idle} {
		word := state.String()
		v.Tiles = append(v.Tiles, tile{State: word, Text: w.stateText(word), N: grouped(s.states[state]), Link: query{state: word}.values(w.Code), On: q.state == word})
	}
	for i := range s.tickets {
		t := &s.tickets[i]
		_, id, word := table(t.Name)
		shown := ticket{Name: t.Name, Link: w.page(t.Name), ID: id, Kind: word, State: t.State.String(), StateText: w.stateText(t.State.String()), Age: w.ago(t.FetchedAt, s.At)}
		if t.FetchedAt.IsZero() {
			shown.Age.Text = w.NoTicket
		}
		v.TicketList = append(v.TicketList, shown)
	}
	// Those with trouble first, then the oldest.
	slices.SortStableFunc(v.TicketList, func(a, b ticket) int {
		return cmp.Or(cmp.Compare(btoi(a.State == "fresh"), btoi(b.State == "fresh")), cmp.Compare(a.Age.At, b.Age.At))
	})
	v.TicketList = v.TicketList[:min(len(v.TicketList), maxTickets)]
	v.Warnings = w.quotas(s.quotas, warnAt)
}

const (
	// maxTickets is how many pushed tickets are shown at the top.
	maxTickets = 12

	// warnAt is the used part of a quota, in percent, from which it is shown at the top.
	warnAt = 80

	// maxQuotas is how many quotas are shown.
	maxQuotas = 20
)

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quotas returns the budgets of which at least percent is used, the most used first.
func (w *words) quotas(all []credential.Quota, percent int) (shown []quota) {
	for _, q := range all {
		if q.Spent == 0 || q.Spent*100 < percent*q.Limit {
			continue
		}
		shown = append(shown, quota{
			Account: cmp.Or(q.Account, w.WeCom), Name: cmp.Or(w.Quotas[q.Word], q.Word), Within: fmt.Sprintf(w.Within, w.span(q.Window)),
			Spent: q.Spent, Limit: q.Limit, Low: q.Limit / 2, High: q.Limit * 9 / 10,
		})
	}
	slices.SortStableFunc(shown, func(a, b quota) int { return cmp.Compare(b.Spent*a.Limit, a.Spent*b.Limit) })
	return shown[:min(len(shown), maxQuotas)]
}

// family returns the header of a family.
func (w *words) family(f family, q query, match int, open bool) familyView {
	v := familyView{
		ID: "f-" + f.word, Word: f.word, Text: cmp.Or(w.Families[f.word], f.word), N: grouped(f.to - f.from), Open: open,
		Link: q.with(f.word).values(w.Code),
	}
	if open && q.family == f.word {
		v.Link = q.with("").values(w.Code)
	}
	if q.filters() {
		v.Match = grouped(match)
	}
	for state, n := range f.states {
		if word := credential.State(state).String(); n > 0 {
			v.Counts = append(v.Counts, tile{State: word, Text: w.stateText(word), N: grouped(n)})
		}
	}
	return v
}

// row returns a credential of the list as of now.
func (w *words) row(c *credential.Status, user func(uint32) string, now time.Time) row {
	_, _, word := table(c.Name)
	r := row{
		ID: "c-" + c.Name, Name: c.Name, Link: w.page(c.Name), Word: word,
		State: c.State.String(), StateText: w.stateText(c.State.String()),
		Left: tick{Text: w.None}, Age: w.ago(c.FetchedAt, now), Next: w.in(c.NextRefresh, now),
		Users: w.users(c.Readers, user, 2, false), Lost: !c.Durable,
	}
	if c.TTL > 0 {
		r.Left = w.left(c.ExpiresAt, now)
		r.From, r.Until = c.FetchedAt.Unix(), c.ExpiresAt.Unix()
		r.Width = share(now.Sub(c.FetchedAt), c.ExpiresAt.Sub(c.FetchedAt))
	}
	if c.Pushed { // NextRefresh is an alarm
		r.Next = tick{Text: w.None}
	}
	r.Error, r.ErrorFull = w.short(c), c.LastError
	r.Key = fmt.Sprint(c.State, c.FetchedAt.Unix(), c.NextRefresh.Unix(), c.ErrCode, c.Failures, c.Durable)
	return r
}

// share returns the remaining part of a life, in percent.
func share(age, life time.Duration) int {
	if life <= 0 {
		return 0
	}
	return int(max(0, min(100, 100-100*age/life)))
}

// short returns the last error of c in a few words.
func (w *words) short(c *credential.Status) string {
	switch {
	case c.LastError == "":
		return ""
	case c.ErrCode != 0:
		return strings.TrimSpace(strconv.Itoa(c.ErrCode) + " " + w.Language.Meaning(c.Name, c.ErrCode))
	}
	return w.Language.Title(advice.Of(c))
}

// users returns the users that have read a credential, the most frequent first, at most most.
// counted adds how often each has.
func (w *words) users(readers *credential.Readers, user func(uint32) string, most int, counted bool) string {
	if readers == nil {
		return ""
	}
	all := readers.List()
	slices.SortFunc(all, func(a, b credential.Reader) int {
		return cmp.Or(cmp.Compare(b.Reads, a.Reads), cmp.Compare(a.UID, b.UID))
	})
	var texts []string
	for i, r := range all {
		if i == most {
			texts = append(texts, "+"+strconv.Itoa(len(all)-most))
			break
		}
		name := "…"
		if !r.Rest {
			name = user(r.UID)
		}
		if counted {
			name += " " + grouped(r.Reads)
		}
		texts = append(texts, name)
	}
	return strings.Join(texts, w.Comma)
}
