package simulation

// mutants are the rules of the protocol, each of them removed.
var mutants = []mutant{
	{"rule 1: a released claim is used again", []edit{
		{"cluster/claims.go", "	if cs.host.offers.pending(key) {", "	if false {"},
		{"cluster/claims.go", "			// A stray: see strays.\n", "			return &flight{claims: cs, want: want, key: key, nonce: seen.Nonce, epoch: seen.Epoch, revision: seen.revision, tries: seen.Tries}, nil\n"},
	}},
	{"rule 2: a claim that took effect late is not released", []edit{
		{"cluster/release.go", "&& cs.flights[c.Nonce] == nil &&", "&& false &&"},
		{"cluster/claims.go", "		case seen.Epoch == session.Epoch && seen.Host == h.cfg.Host && seen.State == record.Calling:", "		case false:"},
	}},
	{"rule 3: doubt is forgotten", []edit{
		{"cluster/flight.go", "	if p.sent = sent && f.want.Rotates; p.sent {", "	if p.sent = sent && f.want.Rotates; !p.sent {\n		p.Tries = 0\n	} else {"},
	}},
	{"rule 4: a refused landing leaves no doubt", []edit{
		{"cluster/flight.go", "	if errors.Is(err, refresh.ErrOvertaken) && f.lasting(p) {\n		h.offers.doubt(ctx, p)\n	}\n", ""},
	}},
	{"rule 5: a grant that cannot land is dropped", []edit{
		{"cluster/resolve.go", "		if r, ok := h.store.shelved(r); ok {\n			further", "		if r, ok := h.store.shelved(r); ok && false {\n			further"},
	}},
	{"rule 6: the session is the fence of a landing", []edit{
		{"cluster/release.go", "	d.depend(Compare{Key: p.key, Field: Modified, Value: p.Revision})\n	return d\n", "	d.depend(Compare{Key: presenceKey(cs.host.cfg.Prefix, cs.host.cfg.Host), Field: Created, Value: p.Epoch})\n	return d\n"},
	}},
	{"a credential is not compared", []edit{
		{"cluster/store.go", "	d.ifs = append(d.ifs, Compare{Key: key, Field: Modified, Value: base})\n", "	if r.Table != record.Credentials {\n		d.ifs = append(d.ifs, Compare{Key: key, Field: Modified, Value: base})\n	}\n"},
	}},
	{"the epoch is not compared", []edit{
		{"cluster/claims.go", "		Compare{Key: key, Field: Modified, Value: seen.revision},\n		Compare{Key: presence, Field: Created, Value: session.Epoch})", "		Compare{Key: key, Field: Modified, Value: seen.revision})"},
	}},
}
