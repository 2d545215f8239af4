package page

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"time"

	"tokend/daemon/credential"
)

var (
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Page renders the status pages. Create a Page with [New]. Its methods may be called concurrently.
type Page struct {
	source    Source
	snapshots snapshots
	head      markup // style and script
	policy    string
}

// New returns the status pages of a daemon.
func New(source Source) *Page {
	hash := func(text string) string {
		digest := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
	}
	return &Page{
		source:    source,
		snapshots: snapshots{source: source, seq: time.Now().UnixMilli()}, // differs from those of an earlier daemon
		head:      markup("<style>" + style + "</style>\n<script type=\"module\">" + script + "</script>"),
		policy: "default-src 'none'; img-src data:; style-src " + hash(style) + "; script-src " + hash(script) +
			"; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// Type is the pages' Content-Type.
const Type = "text/html; charset=utf-8"

// Policy returns the pages' Content-Security-Policy. It allows their own style, their own script
// and connections to this server, and nothing else.
func (p *Page) Policy() string { return p.policy }

// Unseen returns the text for clients that may not see the page, in the language that Show would
// choose. They may be strangers, so the text does not reveal what runs here or how it is
// configured.
func Unseen(ask Ask) (language, text string) {
	w := wordsFor(ask.Values.Get("lang"), ask.Accept)
	return w.Code, w.Unseen
}

// Show renders the page of all credentials and returns its language.
func (p *Page) Show(ctx context.Context, ask Ask) (language string, body []byte) {
	w := wordsFor(ask.Values.Get("lang"), ask.Accept)
	q := queryOf(ask.Values)
	s := p.snapshots.get(ctx)
	work := p.source.Begin(ctx)
	defer work.End()
	sel := s.selects(q, func() { work.Step() })
	v := w.overview(s, q, sel)
	details := p.source.Details(sel.names)
	for i := range v.Families {
		f := &v.Families[i]
		if !f.Open {
			continue
		}
		var d document
		last := ""
		for ; len(details) > 0; details = details[1:] {
			c := &details[0]
			family, id, _ := table(c.Name)
			if family != f.Word {
				break
			}
			if id != last {
				last = id
				d.account(id)
			}
			d.row(w, w.row(c, p.source.User, s.At))
			work.Pause()
		}
		f.Body = markup(d.String())
	}
	return w.Code, p.render(v)
}

// render renders a whole page.
func (p *Page) render(v *view) []byte {
	var d document
	d.page(v, p.head)
	return []byte(d.String())
}

// Credential renders the page of the credential that ask names, and returns its language. If found
// is false, the page reports that there is no such credential.
func (p *Page) Credential(ctx context.Context, ask Ask) (language string, body []byte, found bool) {
	w := wordsFor(ask.Values.Get("lang"), ask.Accept)
	name := ask.Values.Get("q")
	s := p.snapshots.get(ctx)
	v := w.base(s, query{text: name})
	v.Here = "credential" + query{text: name}.values(w.Other)
	v.Detail = p.detail(ctx, w, s, name)
	if v.Missing = v.Detail == nil; !v.Missing {
		v.Title = name
	}
	return w.Code, p.render(v), v.Detail != nil
}

// maxParents bounds the chain of a credential's parents. The longest is a ticket of a customer's
// token of a platform's token of a pushed ticket.
const maxParents = 8

// detail returns the page of the credential name; nil if it is not configured.
func (p *Page) detail(ctx context.Context, w *words, s *snapshot, name string) *detail {
	if s.row(name) == nil {
		return nil
	}
	all := p.source.Details([]string{name})
	past, err := p.source.History(name)
	if len(all) == 0 || err != nil {
		return nil // a reload has removed it
	}
	var parents []credential.Status
	for parent := all[0].Parent; parent != "" && len(parents) < maxParents; {
		next := p.source.Details([]string{parent})
		if len(next) == 0 {
			break
		}
		parents = append(parents, next[0])
		parent = next[0].Parent
	}
	children := p.source.Details(p.source.Children(ctx, name))
	return w.detail(&all[0], past, parents, children, p.source.User, s.At)
}
