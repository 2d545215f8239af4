package simulation

// mutants are parts of the protocol, each of them removed or wrong.
var mutants = []mutant{
	{"rule 1, reuse: a released claim is used again", []edit{
		{"cluster/claims.go", "	if cs.host.offers.pending(key) {", "	if false {"},
		{"cluster/claims.go", "			// A stray: see strays. Or a poller's, and the next call ends the value.\n", "			return &flight{claims: cs, want: want, key: key, nonce: seen.Nonce, epoch: seen.Epoch, revision: seen.revision, tries: seen.Tries}, nil\n"},
	}},
	{"rule 2, zombie: a claim that takes effect late is not released", []edit{
		{"cluster/release.go", "cs.flights[c.Nonce] == nil", "false"},
		{"cluster/claims.go", "		case seen.Epoch == session.Epoch && seen.Host == h.cfg.Host && seen.State == record.Calling:", "		case false:"},
	}},
	{"rule 3, forget: a host that makes no call forgets doubt", []edit{
		{"cluster/flight.go", "	if p.sent = sent && doubted(f.want); p.sent {", "	if p.sent = sent && doubted(f.want); !p.sent {\n		p.Tries = 0\n	} else {"},
		{"refresh/follow.go", "		e.claims.note(r.Key, record.Claim{})\n", `		e.claims.note(r.Key, record.Claim{})
		if en := e.index.get(r.Key); en != nil {
			en.mu.Lock()
			if c := en.current.Load(); c != nil && en.outdated {
				en.outdated = false
				e.applyLocked(en, refreshMoved{e.due(en, c, e.clock.Now(), false)}, e.clock.Now())
			}
			en.mu.Unlock()
		}
`},
	}},
	{"rule 4, certain: a refused landing leaves no doubt", []edit{ // nor does an answer that the host does not try to land
		{"cluster/flight.go", "	if g := p.grant(); f.want.Table == record.Credentials && ", "	if g := p.grant(); false && "},
		{"cluster/flight.go", "	if errors.Is(err, refresh.ErrOvertaken) && p.lasting {\n		h.offers.doubt(ctx, p)\n	}\n", ""},
	}},
	{"rule 5, lease: a grant that cannot land is dropped", []edit{
		{"cluster/resolve.go", "		if r, ok := h.store.shelved(r); ok {\n			further", "		if r, ok := h.store.shelved(r); ok && false {\n			further"},
	}},
	{"rule 6: claims end with the session", []edit{
		{"cluster/claims.go", "	own, recs := h.store.split(recs)\n	d := ", "	put.Lease = session.Lease\n	own, recs := h.store.split(recs)\n	d := "},
	}},
	{"the credential is not compared", []edit{ // nor the ticket with its copy, which makes up for it
		{"cluster/restore.go", "		if !laterTicket(ours, r) {", "		if true {"},
		{"cluster/draft.go", "	d.ifs = append(d.ifs, Compare{Key: key, Field: Modified, Value: base})\n", "	if r.Table != record.Credentials {\n		d.ifs = append(d.ifs, Compare{Key: key, Field: Modified, Value: base})\n	}\n"},
	}},
	{"the epoch is not compared", []edit{
		{"cluster/claims.go", "		Compare{Key: key, Field: Modified, Value: seen.revision},\n		Compare{Key: presence, Field: Created, Value: session.Epoch})", "		Compare{Key: key, Field: Modified, Value: seen.revision})"},
	}},
	{"ends are computed from the time of arrival", []edit{
		{"refresh/times.go", "min(at(r.End), now.Add(r.End.Since-r.Seen.Since)),", "now.Add(r.End.Since - r.Seen.Since),"},
	}},
	{"a refused landing counts as unknown", []edit{
		{"cluster/flight.go", "	err = f.refused(p.draft, o)\n	if errors.Is(err, refresh.ErrOvertaken) && p.lasting {\n		h.offers.doubt(ctx, p)\n	}\n	return err\n", "	h.offers.add(p)\n	return unconfirmed(ErrUnknown)\n"},
		{"cluster/resolve.go", "	if held.Modified != p.Revision {", "	if false {"},
	}},
	{"an unknown release counts as refused", []edit{
		{"cluster/resolve.go", "	out, err := h.txn(ctx, p.txn)\n	if err != nil {\n", "	out, err := h.txn(ctx, p.txn)\n	if err != nil {\n		o.remove(p)\n"},
	}},
	{"offers are dropped", []edit{
		{"cluster/offers.go", "	if !slices.Contains(o.all, p) {", "	if false {"},
	}},
}
