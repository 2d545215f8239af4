package page

// feed writes the last events.
func (d *document) feed(v *view) {
	d.put(`<section id="feed" class="card" aria-labelledby="feed-title">
<h2 id="feed-title">{}</h2>`, v.Events)
	if len(v.Feed) > 0 {
		d.put(`
<ol class="plain feed">`)
		for _, e := range v.Feed {
			d.put(`
<li class="{}"><time datetime="{}">{}</time> <a href="{}">{}</a> <span>{}</span> <span class="soft">{}</span></li>`,
				e.Class, e.ISO, e.Clock, e.Link, e.Name, e.Outcome, e.Cause)
		}
		d.put(`
</ol>`)
	} else {
		d.put(`
<p class="soft">{}</p>`, v.NoEvents)
	}
	d.put(`
</section>`)
}

// figures writes the customers' credentials and the counters.
func (d *document) figures(v *view) {
	d.customers(v)
	d.put(`
<details class="card">
<summary><h2>{}</h2></summary>
<dl>`, v.Figures)
	n := &v.Numbers
	disk := v.DiskWell
	if v.Refusing.Text != "" {
		disk = v.DiskFull
	}
	for _, f := range []struct{ term, text string }{
		{v.Reads, n.Reads},
		{v.Hits, n.Hits},
		{v.Waits, n.Waits},
		{v.Errors, n.Errors},
		{v.Connections, n.Open},
		{v.TurnedOff, n.TurnedOff},
		{v.Refreshes, n.Refreshes + ", " + n.Failed},
		{v.Pushes, n.Pushes},
		{v.PushesRefused, n.PushesRefused},
		{v.Disk, disk},
		{v.Hosts, n.Hosts},
	} {
		d.when(f.text != "", `
<div><dt>{}</dt><dd>{}</dd></div>`, f.term, f.text)
	}
	d.put(`
</dl>`)
	d.endpoints(v)
	if len(v.Quotas) > 0 {
		d.put(`
<h3>{}</h3>
`, v.Budgets)
		d.quotas(v.Quotas)
	}
	d.put(`
</details>`)
}

// customers writes the counts of customers' credentials and the holds.
func (d *document) customers(v *view) {
	if len(v.Crowds) == 0 && len(v.Held) == 0 {
		return
	}
	d.put(`
<section class="card" aria-labelledby="customers-title">
<h2 id="customers-title">{}</h2>
<ul class="plain">`, v.Customers)
	for _, c := range v.Crowds {
		d.put(`
<li><span>{} <span class="soft">{}</span></span> <span class="end counts">`, c.Platform, c.Kind)
		d.counts(c.Counts)
		d.put(`</span></li>`)
	}
	d.put(`
</ul>`)
	d.when(len(v.Held) > 0, `
<h3>{}</h3>`, v.Holds)
	for _, h := range v.Held {
		d.put(`
<p><b>{}</b> {} <span class="soft">{}</span></p>
`, h.N, h.Kind, h.Why)
		d.advice(h.Advice)
	}
	d.put(`
</section>`)
}

// endpoints writes the calls to WeChat by path.
func (d *document) endpoints(v *view) {
	if len(v.Numbers.Endpoints) == 0 {
		return
	}
	d.put(`
<h3>{}</h3>
<div class="scroll" tabindex="0" role="region" aria-label="{}"><table>
<thead><tr>`, v.WeChat, v.WeChat)
	for _, heading := range []string{v.Endpoint, v.Calls, v.Refused, v.Unreachable, v.Average} {
		d.put(`<th scope="col">{}</th>`, heading)
	}
	d.put(`</tr></thead>
<tbody>`)
	for _, e := range v.Numbers.Endpoints {
		d.put(`
<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>`, e.Path, e.Calls, e.Refused, e.Unreachable, e.Average)
	}
	d.put(`
</tbody>
</table></div>`)
}
