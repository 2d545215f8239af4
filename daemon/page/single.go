package page

import "cmp"

// detail writes the page of one credential.
func (d *document) detail(v *view) {
	d.put(`<div id="detail">
<p><a href="./{}">← {}</a></p>`, v.Home, v.Back)
	if c := v.Detail; c != nil {
		d.now(v, c)
		d.timeline(v, &c.Line)
		d.past(v, c.Past)
		d.relatives(v, c)
	}
	d.put(`
</div>`)
}

// now writes the state of a credential.
func (d *document) now(v *view, c *detail) {
	d.put(`
<section class="card">
<p class="soft">{}</p>
<h1 class="name">{}</h1>
<p><span class="state {}">{}</span></p>
<p class="life big">`, c.Family, c.Name, c.State, c.StateText)
	d.life(c.State, c.From, c.Until, c.Width)
	d.tick(c.Left)
	d.put(`</p>`)
	if c.Message != "" {
		d.put(`
<p class="message">{}</p>
`, c.Message)
		d.failed(v, c.Since, c.Again)
	}
	if c.Advice.Text != "" {
		d.put(`
<h2>{}</h2>
`, v.Do)
		d.advice(c.Advice)
	}
	d.put(`
<dl>`)
	for _, f := range c.Facts {
		d.put(`
<div><dt>{}</dt><dd>`, f.Term)
		switch {
		case f.Tick != nil:
			d.tick(*f.Tick)
		case f.Code:
			d.put(`<code>{}</code>`, f.Text)
		default:
			d.put(`{}`, f.Text)
		}
		d.put(`</dd></div>`)
	}
	d.put(`
</dl>
</section>`)
}

// timeline draws the last day of a credential.
func (d *document) timeline(v *view, l *timeline) {
	d.put(`
<section class="card" aria-labelledby="line-title">
<h2 id="line-title">{}</h2>
<svg class="line" viewBox="0 0 1000 64" role="img" aria-label="{}">
<line x1="20" y1="26" x2="980" y2="26"/>`, v.Timeline, l.Text)
	for _, h := range l.Hours {
		d.put(`
<line class="hour" x1="{}" y1="20" x2="{}" y2="32"/><text x="{}" y="54" text-anchor="middle">{}</text>`, h.X, h.X, h.X, h.Text)
	}
	for _, m := range l.Marks {
		d.put(`
<g class="mark {}"><title>{}</title>`, m.Class, m.Title)
		switch m.Class {
		case "failed":
			d.put(`<path d="M{} 16l8 15h-16z"/>`, m.X)
		case "rejected":
			d.put(`<path d="M{} 17l9 9-9 9-9-9z"/>`, m.X)
		case "pushed":
			d.put(`<path d="M{} 19m-7 0h14v14h-14z"/>`, m.X)
		default:
			d.put(`<circle cx="{}" cy="26" r="7"/>`, m.X)
		}
		d.put(`</g>`)
	}
	d.put(`
</svg>
<p class="soft legend">{}</p>
</section>`, l.Text)
}

// past writes the history of a credential.
func (d *document) past(v *view, all []pastRow) {
	d.put(`
<section class="card">
<h2 id="past-title">{}</h2>`, v.History)
	if len(all) > 0 {
		d.put(`
<div class="scroll" tabindex="0" role="region" aria-labelledby="past-title"><table class="past">
<thead><tr>`)
		for _, heading := range []string{v.Time, v.Outcome, v.Cause, v.Took, "rid"} {
			d.put(`<th scope="col">{}</th>`, heading)
		}
		d.put(`</tr></thead>
<tbody>`)
		for _, a := range all {
			d.put(`
<tr class="{}"><td><time datetime="{}">{}</time></td><td class="outcome">{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>`,
				a.Class, a.ISO, a.Clock, a.Outcome, a.Cause, a.Took, cmp.Or(a.RID, v.None))
		}
		d.put(`
</tbody>
</table></div>`)
	} else {
		d.put(`
<p class="soft">{}</p>`, v.NoPast)
	}
	d.put(`
</section>`)
}

// relatives writes what a credential is fetched with, and what is fetched with it.
func (d *document) relatives(v *view, c *detail) {
	if len(c.Parents) == 0 && len(c.Children) == 0 {
		return
	}
	d.put(`
<div class="pair">`)
	d.relation(v.Parents, c.Parents, "")
	d.relation(v.Children, c.Children, c.OtherChildren)
	d.put(`
</div>`)
}

// relation writes the relatives of one side.
func (d *document) relation(heading string, all []relative, others string) {
	if len(all) == 0 {
		return
	}
	d.put(`
<section class="card"><h2>{}</h2><ul class="plain">`, heading)
	for _, r := range all {
		d.put(`<li><a href="{}">{}</a> <span class="end state {}">{}</span></li>`, r.Link, r.Name, r.State, r.StateText)
	}
	d.put(`</ul>`)
	d.when(others != "", `<p class="soft">{}</p>`, others)
	d.put(`</section>`)
}
