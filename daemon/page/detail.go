package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
)

// detail is the page of one credential.
type detail struct {
	Name, Family     string
	State, StateText string
	Width            int
	From, Until      int64
	Left             tick
	Facts            []fact
	Message, Again   string
	Since            string
	Advice           advice.Advice
	Parents          []relative
	Children         []relative
	OtherChildren    string
	Line             timeline
	Past             []pastRow
}

// fact is a property of a credential.
type fact struct {
	Term, Text string
	Tick       *tick
	Code       bool // Text is a technical word
}

// relative is a credential that another is fetched with.
type relative struct{ Name, Link, State, StateText string }

// pastRow is a refresh in the history.
type pastRow struct {
	Clock, ISO, Class, Cause, Outcome, Took, RID string
}

// maxRelatives is how many children are shown.
const maxRelatives = 50

// detail returns the page of c. parents are its parent, the parent's parent and so on.
func (w *words) detail(c *credential.Status, past []credential.Attempt, parents, children []credential.Status, user func(uint32) string, now time.Time) *detail {
	family, _, _ := table(c.Name)
	r := w.row(c, user, now)
	d := &detail{
		Name: c.Name, Family: w.Families[family], State: r.State, StateText: r.StateText, Width: r.Width, From: r.From, Until: r.Until, Left: r.Left,
		Message: c.LastError, Again: w.again(c, now), Advice: w.Language.About(c), Line: w.timeline(past, now),
	}
	if !c.ErrorAt.IsZero() {
		d.Since = clock(c.ErrorAt, now)
	}
	yes := map[bool]string{true: w.Yes, false: w.No}
	d.add(w.Kind, c.Kind, nil, true)
	d.add(w.Age, "", &r.Age, false)
	d.add(w.Fetched, stamp(c.FetchedAt, w), nil, false)
	d.add(w.Expires, stamp(c.ExpiresAt, w), nil, false)
	if c.Pushed {
		alarm := w.in(c.NextRefresh, now)
		d.add(w.Alarm, "", &alarm, false)
	} else {
		d.add(w.NextRefresh, "", &r.Next, false)
	}
	d.add(w.Users, orNone(w.users(c.Readers, user, 20, true), w), nil, false)
	d.add(w.Fingerprint, orNone(c.Fingerprint, w), nil, true)
	d.add(w.Durable, yes[c.Durable], nil, false)
	if c.Failures > 0 {
		d.add(w.Failures, strconv.Itoa(c.Failures), nil, false)
	}
	if c.Host != "" {
		d.add(w.Host, c.Host, nil, true)
	}
	if c.Refused != nil {
		d.add(w.RefusedPushes, refusals(c.Refused, w), nil, false)
	}
	for i := range parents {
		d.Parents = append(d.Parents, w.relative(&parents[i]))
	}
	for i := range children {
		if i == maxRelatives {
			d.OtherChildren = fmt.Sprintf(w.More, grouped(len(children)-maxRelatives))
			break
		}
		d.Children = append(d.Children, w.relative(&children[i]))
	}
	for _, a := range past {
		d.Past = append(d.Past, pastRow{
			Clock: clock(a.At, now), ISO: a.At.UTC().Format(time.RFC3339), Class: class(a), Cause: w.Causes[a.Cause.String()],
			Outcome: w.outcome(c.Name, a), Took: grouped(a.Took.Milliseconds()) + " ms", RID: a.RID,
		})
	}
	return d
}

func (d *detail) add(term, text string, t *tick, code bool) {
	d.Facts = append(d.Facts, fact{Term: term, Text: text, Tick: t, Code: code})
}

func (w *words) relative(c *credential.Status) relative {
	return relative{Name: c.Name, Link: w.page(c.Name), State: c.State.String(), StateText: w.stateText(c.State.String())}
}

func stamp(t time.Time, w *words) string {
	if t.IsZero() {
		return w.None
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func orNone(s string, w *words) string {
	if s == "" {
		return w.None
	}
	return s
}

// refusals returns how many pushes were refused for each cause.
func refusals(r *credential.Refusals, w *words) string {
	var texts []string
	for why, n := range r.N {
		if n > 0 {
			texts = append(texts, credential.Refusal(why).String()+" "+grouped(n))
		}
	}
	if len(texts) == 0 {
		return "0"
	}
	return strings.Join(texts, w.Comma)
}

// timeline is the last day of a credential as a drawing.
type timeline struct {
	Text  string // the numbers, for readers of the page without the drawing
	Hours []hour
	Marks []mark
}

// day is the time that a timeline shows, lineWidth its width, lineStart where it begins.
const (
	day       = 24 * time.Hour
	lineWidth = 960
	lineStart = 20
)

// hour is a label of a timeline.
type hour struct {
	X    int
	Text string
}

// mark is a refresh on a timeline.
type mark struct {
	X     int
	Class string
	Title string
}

// timeline returns the last day of past.
func (w *words) timeline(past []credential.Attempt, now time.Time) timeline {
	var l timeline
	begin := now.Add(-day)
	x := func(t time.Time) int { return lineStart + int(int64(t.Sub(begin))*lineWidth/int64(day)) }
	for t := begin.UTC().Truncate(4 * time.Hour).Add(4 * time.Hour); !t.After(now); t = t.Add(4 * time.Hour) {
		l.Hours = append(l.Hours, hour{x(t), t.Format("15:04")})
	}
	n := map[string]int{}
	for _, a := range slices.Backward(past) {
		if a.At.Before(begin) || a.At.After(now) {
			continue
		}
		c := class(a)
		if c == "failed" && a.Cause == credential.CauseReject {
			n["rejected"]++
		}
		n[c]++
		text := a.At.UTC().Format("15:04:05") + " " + w.Causes[a.Cause.String()]
		l.Marks = append(l.Marks, mark{x(a.At), c, text})
	}
	l.Text = fmt.Sprintf(w.TimelineText, grouped(n["ok"]), grouped(n["failed"]), grouped(n["rejected"]), grouped(n["pushed"]))
	return l
}
