package page

import (
	"fmt"
	"html"
	"strings"

	"tokend/daemon/advice"
)

// markup is HTML. A constant is assignable to it, a string is not: so values get into a document
// by the parameters of put only, which escapes them.
type markup string

// document builds HTML.
type document struct{ text strings.Builder }

func (d *document) String() string { return d.text.String() }

// put writes m, in which each {} stands for one of values. The escaped value is safe as text and in
// quoted attributes. Links are safe because [query.values] makes them: they begin with "?", or with
// a path.
func (d *document) put(m markup, values ...any) {
	for _, value := range values {
		before, after, _ := strings.Cut(string(m), "{}")
		d.text.WriteString(before)
		d.text.WriteString(escape(value))
		m = markup(after)
	}
	d.text.WriteString(string(m))
}

// when is put if on.
func (d *document) when(on bool, m markup, values ...any) {
	if on {
		d.put(m, values...)
	}
}

// escape returns value as text. NUL and invalid UTF-8 become U+FFFD.
func escape(value any) string {
	text := strings.ReplaceAll(fmt.Sprint(value), "\x00", "\uFFFD")
	return html.EscapeString(strings.ToValidUTF8(text, "\uFFFD"))
}

// page writes a whole page. head is the style and the script.
func (d *document) page(v *view, head markup) {
	kind := "all"
	if v.Detail != nil {
		kind = "credential"
	}
	d.put(`<!DOCTYPE html>
<html lang="{}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<noscript><meta http-equiv="refresh" content="30"></noscript>
<link rel="icon" href="data:,">
<title>{}</title>
`, v.Code, title(v))
	d.put(head)
	d.put(`
</head>
<body data-seq="{}" data-page="{}" data-units="{}"`, v.Seq, kind, strings.Join(v.Units[:], "|"))
	d.put(` data-left="{}" data-ago="{}" data-in="{}" data-overdue="{}"`, v.Left, v.Ago, v.In, v.Overdue)
	d.put(` data-live="{}" data-reloading="{}" data-copy="{}" data-copied="{}">
`, v.Live, v.Reloading, v.Copy, v.Copied)
	d.when(v.Detail == nil && !v.Missing, `<a class="skip" href="#list">{}</a>`, v.Skip)
	d.put(`
<header>
<div class="head">
<a class="brand" href="./{}">tokend</a>
`, v.Home)
	d.verdict(v)
	d.put(`
<a class="language" href="{}" hreflang="{}" lang="{}">{}</a>
</div>
<p class="meta"><span>{} {}</span>`, v.Here, v.Other, v.Other, v.Offer, v.Version, v.Release)
	d.put(`<span>{} <time class="tick" data-at="{}" data-as="up">{}</time></span>`, v.Up, v.Running.At, v.Running.Text)
	d.put(`<span>{} <time id="at" datetime="{}">{}</time></span><span id="mode" class="mode">{}</span></p>
</header>
<main>`, v.As, v.Stamp, v.At, v.Reloading)
	d.when(v.Refusing.Text != "", `
<p class="alarm">{}</p>`, v.Refusing)
	d.when(v.Loading, `
<p class="alarm">{}</p>`, v.Reading)
	d.put("\n")
	switch {
	case v.Detail != nil:
		d.detail(v)
	case v.Missing:
		d.put(`<section class="card"><h1>{}</h1><p>{}</p><p><a href="./{}">{}</a></p></section>`,
			v.NotFound, v.NotFoundText, v.Home, v.Back)
	default:
		d.put(`<h1 class="hidden">tokend</h1>`)
		for _, section := range []func(*view){d.top, d.attention, d.list, d.feed, d.figures} {
			d.put("\n")
			section(v)
		}
	}
	d.put(`
</main>
</body>
</html>
`)
}

// verdict writes whether all is well.
func (d *document) verdict(v *view) {
	class, text := "good", v.Well
	switch {
	case v.Good:
	case v.Bad != "":
		class, text = "bad", fmt.Sprintf(v.Trouble, v.Bad)
	default:
		class, text = "bad", v.Disk+": "+v.DiskFull
	}
	d.put(`<p id="verdict" class="verdict {}" role="status">{}</p>`, class, text)
}

// tick writes a moment.
func (d *document) tick(t tick) {
	if t.At == 0 {
		d.put(`{}`, t.Text)
		return
	}
	d.put(`<time class="tick" datetime="{}" title="{}" data-at="{}" data-as="{}">{}</time>`, t.ISO, t.ISO, t.At, t.As, t.Text)
}

// advice writes what to do, with a button that copies the command.
func (d *document) advice(a advice.Advice) {
	if a.Text == "" {
		return
	}
	d.put(`<p class="do">{}`, a.Text)
	d.when(a.Command != "", ` <span class="command"><code>{}</code><button type="button" class="copy" hidden data-copy="{}"></button></span>`,
		a.Command, a.Command)
	d.put(`</p>`)
}

// links writes the names of credentials, with links to their pages.
func (d *document) links(all []link) {
	for i, l := range all {
		d.when(i > 0, `, `)
		d.put(`<a href="{}">{}</a>`, l.Link, l.Name)
	}
}

// counts writes how many credentials are in each state.
func (d *document) counts(all []tile) {
	for _, t := range all {
		d.put(`<span class="state {}">{} {}</span> `, t.State, t.N, t.Text)
	}
}

// quotas writes a list of budgets.
func (d *document) quotas(all []quota) {
	d.put(`<ul class="plain">`)
	for _, q := range all {
		d.put(`
<li><span>{} <span class="soft">{} · {}</span></span> <span class="end">`, q.Account, q.Name, q.Within)
		d.put(`<meter min="0" max="{}" value="{}" low="{}" high="{}" optimum="0" aria-label="{} {}">{} / {}</meter>`,
			q.Limit, q.Spent, q.Low, q.High, q.Account, q.Name, q.Spent, q.Limit)
		d.put(` {} / {}</span></li>`, q.Spent, q.Limit)
	}
	d.put(`
</ul>`)
}
