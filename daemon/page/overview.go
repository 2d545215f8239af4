package page

// top writes the totals, the pushed tickets, and the budgets that are nearly used up.
func (d *document) top(v *view) {
	d.put(`<section id="top" aria-labelledby="totals">
<h2 id="totals" class="hidden">{}</h2>
<ul class="tiles">`, v.Totals)
	for _, t := range v.Tiles {
		d.put(`
<li><a class="tile {}`, t.State)
		d.when(t.N == "0", ` none`)
		d.put(`" href="{}"`, t.Link)
		d.when(t.On, ` aria-current="true"`)
		d.put(` data-swap><b>{}</b> <span>{}</span></a></li>`, t.N, t.Text)
	}
	d.put(`
</ul>`)
	if len(v.TicketList) > 0 || len(v.Warnings) > 0 {
		d.put(`
<div class="pair">`)
		d.tickets(v)
		if len(v.Warnings) > 0 {
			d.put(`
<div class="card"><h2>{}</h2>`, v.QuotaWarnings)
			d.quotas(v.Warnings)
			d.put(`</div>`)
		}
		d.put(`
</div>`)
	}
	d.put(`
</section>`)
}

// tickets writes the pushed tickets.
func (d *document) tickets(v *view) {
	if len(v.TicketList) == 0 {
		return
	}
	d.put(`
<div class="card"><h2>{}</h2>
<ul class="plain">`, v.Tickets)
	for _, t := range v.TicketList {
		d.put(`
<li><a class="state {}" href="{}">{}</a> <span class="soft">{}</span> <span class="end">`, t.State, t.Link, t.Kind, t.ID)
		d.when(t.State != "fresh", `{} · `, t.StateText)
		d.tick(t.Age)
		d.put(`</span></li>`)
	}
	d.put(`
</ul></div>`)
}

// attention writes what needs attention.
func (d *document) attention(v *view) {
	d.put(`<section id="attention" aria-labelledby="attention-title"`)
	d.when(len(v.Articles) == 0, ` hidden`)
	d.put(`>
<h2 id="attention-title">{}</h2>
<div class="articles">`, v.Attention)
	for i := range v.Articles {
		d.article(v, &v.Articles[i])
	}
	d.put(`
</div>`)
	d.when(v.Unexamined != "", `
<p><a href="{}" data-swap>{}</a></p>`, v.AllBad, v.Unexamined)
	d.put(`
</section>`)
}

// article writes one cause of trouble.
func (d *document) article(v *view, a *article) {
	d.put(`
<article class="card {}">
<h3`, a.State)
	if a.Link == "" {
		d.put(` class="group">{}`, a.Heading)
	} else {
		d.put(`><a href="{}">{}</a>`, a.Link, a.Heading)
	}
	d.put(` <span class="state {}">{}</span>`, a.State, a.StateText)
	if a.Left != nil {
		d.put(` <span class="soft">`)
		d.tick(*a.Left)
		d.put(`</span>`)
	}
	d.put(`</h3>`)
	if len(a.Members) > 0 {
		d.put(`
<p class="soft">`)
		d.links(a.Members)
		d.put(`</p>`)
	}
	d.when(a.Others != "", `
<p class="soft">{}</p>`, a.Others)
	d.when(a.Lost, `
<p>{}</p>`, v.Undurable)
	d.when(a.Message != "", `
<p class="message">{}</p>`, a.Message)
	if a.Advice.Text != "" {
		d.put(`
<h4>{}</h4>
`, v.Do)
		d.advice(a.Advice)
	}
	if len(a.Also) > 0 {
		d.put(`
<p class="soft">{}: `, v.Also)
		d.links(a.Also)
		d.when(a.AlsoOthers != "", ` {}`, a.AlsoOthers)
		d.put(`</p>`)
	}
	if a.Since != "" || a.Again != "" {
		d.put("\n")
		d.failed(v, a.Since, a.Again)
	}
	d.put(`
</article>`)
}

// failed writes when a refresh failed, and when it is retried.
func (d *document) failed(v *view, since, again string) {
	d.put(`<p class="soft">`)
	d.when(since != "", `{} {}`, v.Failed, since)
	d.when(since != "" && again != "", ` · `)
	d.put(`{}</p>`, again)
}
