package page

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"tokend/daemon/credential"
)

// followEvery is the time between two looks at the daemon for an open page. A client gets at most
// one update in that time.
const followEvery = time.Second

// heartbeats is the number of looks without a change after which an empty update is sent, so that a
// client that has left is noticed.
const heartbeats = 15

// update is the parts of a page that have changed: HTML by the id of its element.
type update struct {
	At    string            `json:"at"`
	Title string            `json:"title"`
	Parts map[string]string `json:"parts"`
}

// follower is an open page.
type follower struct {
	page  *Page
	words *words
	query query
	name  string // of the credential whose page it is; "" for the first page

	last  *snapshot // keeps it for the next look, and for other pages
	seq   int64     // of the snapshot that the client has seen
	parts map[string]string
	rows  map[string]credential.Summary
	names []string // of the rows that are shown
}

// Follow sends the parts of the page that ask names whenever they have changed, at most once a
// second, until ctx ends or send fails. An empty update keeps the connection alive.
func (p *Page) Follow(ctx context.Context, ask Ask, send func([]byte) error) error {
	f := &follower{page: p, words: wordsFor(ask.Values.Get("lang"), ask.Accept), query: queryOf(ask.Values), parts: map[string]string{}}
	if ask.Values.Get("page") == "credential" {
		f.name = f.query.text
	}
	f.seq, _ = strconv.ParseInt(ask.Values.Get("seq"), 10, 64)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	quiet := 0
	for {
		u := f.look(ctx)
		if quiet++; len(u.Parts) > 0 || quiet >= heartbeats {
			quiet = 0
			data, err := json.Marshal(u)
			if err == nil {
				err = send(data)
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look returns what has changed since the last look.
func (f *follower) look(ctx context.Context) update {
	s := f.page.snapshots.get(ctx)
	f.last = s
	u := update{At: stamp(s.At, f.words), Parts: map[string]string{}}
	first := len(f.parts) == 0
	if ctx.Err() != nil || s.seq == f.seq && !first {
		return u
	}
	known := s.seq == f.seq // the client has all parts as they are now
	f.seq = s.seq
	if f.name != "" {
		f.credential(ctx, s, &u)
	} else {
		f.overview(ctx, s, &u, first, known)
	}
	if known {
		clear(u.Parts)
	}
	return u
}

// part adds a part of the page if it has changed.
func (f *follower) part(u *update, id string, write func(*document)) {
	var d document
	write(&d)
	if text := d.String(); f.parts[id] != text {
		f.parts[id], u.Parts[id] = text, text
	}
}

func (f *follower) credential(ctx context.Context, s *snapshot, u *update) {
	v := f.words.base(s, f.query)
	v.Detail = f.page.detail(ctx, f.words, s, f.name)
	u.Title = title(v)
	f.part(u, "detail", func(d *document) { d.detail(v) })
}

// title returns the title of the document.
func title(v *view) string {
	if v.Good {
		return "✓ " + v.Title
	}
	return "! " + v.Title
}

// overview adds the parts of the first page. first reports that it is the first look, and known
// that the client has all rows as they are now.
func (f *follower) overview(ctx context.Context, s *snapshot, u *update, first, known bool) {
	sel := s.selects(f.query, func() {})
	v := f.words.overview(s, f.query, sel)
	u.Title = title(v)
	f.part(u, "verdict", func(d *document) { d.verdict(v) })
	f.part(u, "top", func(d *document) { d.top(v) })
	f.part(u, "attention", func(d *document) { d.attention(v) })
	f.part(u, "feed", func(d *document) { d.feed(v) })
	for i := range v.Families {
		family := &v.Families[i]
		f.part(u, family.ID, func(d *document) { d.family(family) })
	}
	// The rows that the client shows stay, even if they no longer match the filter.
	if first {
		f.names = sel.names
	}
	rows := make(map[string]credential.Summary, len(f.names))
	var changed []string
	for _, name := range f.names {
		if r := s.row(name); r != nil {
			rows[name] = *r
			if before, ok := f.rows[name]; !known && (!ok || !same(&before, r)) {
				changed = append(changed, name)
			}
		}
	}
	f.rows = rows
	work := f.page.source.Begin(ctx)
	defer work.End()
	for _, c := range f.page.source.Details(changed) {
		work.Pause()
		var d document
		d.row(f.words, f.words.row(&c, f.page.source.User, s.At))
		u.Parts["c-"+c.Name] = d.String()
	}
}
