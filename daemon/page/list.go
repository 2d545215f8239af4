package page

import "cmp"

// list writes the filter and the credentials that it selects.
func (d *document) list(v *view) {
	d.put(`<section id="list" class="card list" aria-labelledby="list-title" tabindex="-1">
<div class="listhead">
<h2 id="list-title">{} <span class="soft">{}</span></h2>
`, v.Accounts, v.Total)
	d.filter(v)
	d.put(`
</div>
<p class="soft" role="status">{}</p>`, v.Matching)
	d.when(v.Empty != "", `
<p>{}</p>`, v.Empty)
	if len(v.Families) > 0 {
		d.put(`
<table>
<thead><tr>`)
		for _, heading := range []string{v.Credential, v.State, v.Life, v.Age, v.NextRefresh, v.LastError, v.Users} {
			d.put(`<th scope="col">{}</th>`, heading)
		}
		d.put(`</tr></thead>`)
		for i := range v.Families {
			d.put(`
<tbody>
`)
			d.family(&v.Families[i])
			d.put("\n")
			d.put(v.Families[i].Body)
			d.put(`
</tbody>`)
		}
		d.put(`
</table>
<p class="pager">`)
		d.when(v.FirstLink != "", `<a href="{}" data-swap>{}</a>`, v.FirstLink, v.First)
		d.when(v.NextLink != "", ` <a class="button" href="{}" data-swap>{}</a>`, v.NextLink, v.NextText)
		d.put(`</p>`)
	}
	d.put(`
</section>`)
}

// filter writes the form that selects credentials.
func (d *document) filter(v *view) {
	d.put(`<form id="filter" method="get" role="search" aria-label="{}">
<input type="hidden" name="lang" value="{}">`, v.Filter, v.Code)
	d.when(v.InFamily != "", `<input type="hidden" name="family" value="{}">`, v.InFamily)
	d.put(`
<label class="hidden" for="q">{}</label>
<input id="q" name="q" type="search" value="{}" placeholder="{}" autocomplete="off" spellcheck="false" maxlength="255">
`, v.FilterText, v.Text, v.FilterHint)
	d.put(`<label class="hidden" for="state">{}</label>
<select id="state" name="state"><option value="">{}</option>`, v.State, v.AnyState)
	for _, o := range v.States {
		d.put(`<option value="{}"`, o.Value)
		d.when(o.On, ` selected`)
		d.put(`>{}</option>`, o.Text)
	}
	d.put(`</select>
<button type="submit">{}</button>`, v.Apply)
	d.when(v.Matching != "", ` <a href="./{}" data-swap>{}</a>`, v.Home, v.Clear)
	d.put(`
</form>`)
}

// family writes the header of a family.
func (d *document) family(f *familyView) {
	d.put(`<tr id="{}" class="family"><th scope="rowgroup" colspan="7"><a href="{}" aria-expanded="{}" role="button" data-swap>`,
		f.ID, f.Link, f.Open)
	d.put(`<span class="arrow" aria-hidden="true"></span>{} <span class="soft">`, f.Text)
	d.when(f.Match != "", `{} / `, f.Match)
	d.put(`{}</span></a> <span class="counts">`, f.N)
	d.counts(f.Counts)
	d.put(`</span></th></tr>`)
}

// account writes the header of an account's rows.
func (d *document) account(id string) {
	d.put(`<tr class="account"><th scope="rowgroup" colspan="7">{}</th></tr>
`, id)
}

// row writes a credential of the list.
func (d *document) row(w *words, r row) {
	d.put(`<tr id="{}" class="credential" data-key="{}"><th scope="row"><a href="{}" title="{}">{}</a></th>`,
		r.ID, r.Key, r.Link, r.Name, r.Word)
	d.put(`<td data-label="{}"><span class="state {}">{}</span></td><td data-label="{}" class="life"><span>`,
		w.State, r.State, r.StateText, w.Life)
	d.life(r.State, r.From, r.Until, r.Width)
	d.tick(r.Left)
	d.put(`</span></td><td data-label="{}">`, w.Age)
	d.tick(r.Age)
	d.put(`</td><td data-label="{}">`, w.NextRefresh)
	d.tick(r.Next)
	d.put(`</td><td data-label="{}" class="error`, w.LastError)
	d.when(r.Error == "" && !r.Lost, ` none`)
	d.put(`"`)
	d.when(r.ErrorFull != "", ` title="{}"`, r.ErrorFull)
	d.put(`>`)
	switch {
	case r.Lost && r.Error != "":
		d.put(`{}; {}`, w.Undurable, r.Error)
	case r.Lost:
		d.put(`{}`, w.Undurable)
	default:
		d.put(`{}`, cmp.Or(r.Error, w.None))
	}
	d.put(`</td><td data-label="{}"`, w.Users)
	d.when(r.Users == "", ` class="none"`)
	d.put(`>{}</td></tr>
`, cmp.Or(r.Users, w.None))
}

// life writes a bar of the remaining part of a value's life, nothing for one without an end.
func (d *document) life(state string, from, until int64, width int) {
	d.when(until != 0, `<svg class="bar {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" data-from="{}" data-until="{}">`+
		`<rect class="all" width="100" height="6"/><rect class="rest" width="{}" height="6"/></svg>`, state, from, until, width)
}
