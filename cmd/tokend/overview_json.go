package main

import (
	"maps"
	"slices"
	"strings"

	"tokend/daemon/advice"
)

// object returns o for programs: version and the counters of STATS under their own keys, and what
// the text shows.
func (o *overview) object(l advice.Language) object {
	out := object{{"version", o.version}, {"healthy", o.healthy()}}
	for _, p := range o.stats {
		out = append(out, member{p.Key, number(p.Value)})
	}
	states := map[string]int64{}
	for _, c := range o.all {
		states[c.State]++
	}
	var counted object
	for _, state := range slices.Sorted(maps.Keys(states)) {
		counted = append(counted, member{state, states[state]})
	}
	revoked := make([]object, 0, len(o.revoked))
	for _, owner := range slices.Sorted(maps.Keys(o.revoked)) {
		revoked = append(revoked, object{{"owner", owner}, {"customers", int64(o.revoked[owner])}})
	}
	endpoints := []object{}
	for _, p := range o.stats {
		if path, ok := strings.CutPrefix(p.Key, "calls:"); ok {
			endpoints = append(endpoints, object{{"path", path}, {"calls", number(p.Value)}, {"failed", o.count["failed:"+path]}})
		}
	}
	return append(out, member{"credentials", int64(len(o.all))}, member{"states", counted}, member{"attention", o.attention(l)},
		member{"revoked", revoked}, member{"endpoints", endpoints})
}

// attention returns the credentials in trouble: the keys of STATUS, what to do, and what is
// unavailable because of them.
func (o *overview) attention(l advice.Language) []object {
	list := []object{}
	for i := range o.causes {
		c := &o.causes[i]
		for k, pairs := range c.pairs {
			one := cause{first: detailsOf(pairs)}
			do := one.advise(l)
			also := []string{}
			if k == 0 {
				also = append(also, c.also...)
			}
			list = append(list, append(statusObject(pairs), member{"what_to_do", do.String()}, member{"command", do.Command}, member{"also", also}))
		}
	}
	return list
}
