package simulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// revivedValue: a restore of etcd brings back what an authorization had that was withdrawn since,
// before the next authorization or after it.
func revivedValue(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	return []event{
		{verb: backsUp, at: at},
		{verb: leaves, at: at + within(r, 0, 2*time.Second), host: a, only: r.IntN(2) == 0, n: byAny(r)},
		{verb: restores, at: at + within(r, 2*time.Second, 30*time.Second), n: r.Uint64()},
		meets(r, wants(r, b), at, a),
	}
}

// restoredStep: etcd is restored to a step of a flight or an exchange, at a later one.
func restoredStep(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	first := wants(r, a)
	first.at = at
	all := []event{
		first,
		{verb: backsUp, step: pick(r, claims, calls, answers, lands, gives, writes), nth: 1, host: a},
		{
			verb: restores, step: pick(r, claims, calls, answers, journals, lands, lands, gives, writes), nth: pick(r, 1, 1, 2), host: pick(r, a, a, b),
			d: pick(r, 0, within(r, time.Millisecond, 200*time.Millisecond), within(r, 100*time.Millisecond, 10*time.Second)), n: r.Uint64(),
		},
		meets(r, wants(r, b), at, a),
	}
	if r.IntN(2) == 0 {
		all = append(all, slip(r, pick(r, a, b)))
	}
	return all
}

// lostPresence: etcd is restored to the moment when a host has a lease, and no presence key yet.
func lostPresence(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	return []event{
		{verb: pick(r, expires, expires, crashes), at: at, host: a, d: time.Second},
		{verb: backsUp, step: joins, nth: 1, host: a},
		{verb: restores, step: joins, nth: 1, host: a, d: within(r, 10*time.Millisecond, 14*time.Second), n: r.Uint64()},
		{verb: cutWeChat, at: 0, host: b, d: 2 * time.Minute},
		{verb: rejects, at: at + within(r, 10*time.Second, 40*time.Second), host: a, n: firstName},
	}
}

// restoredDoubt: etcd is restored while a host has taken over a doubt, and that host makes no call.
func restoredDoubt(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	return []event{
		{verb: backsUp, at: at},
		{verb: rejects, at: at + time.Second, host: a, n: firstName},
		{verb: loses, step: answers, nth: 1, host: a, n: r.Uint64()},
		{verb: cutWeChat, at: at, host: b, d: within(r, 20*time.Second, 60*time.Second)},
		{verb: cutWeChat, step: gives, nth: 1, host: a, d: within(r, 20*time.Second, 60*time.Second)},
		{verb: restores, step: pick(r, claims, calls, gives), nth: pick(r, 1, 1, 2), host: b, d: pick(r, 0, within(r, time.Millisecond, 5*time.Second)), n: r.Uint64()},
	}
}

// emptiedEtcd: etcd loses all that it had, while hosts are down or in the middle of a flight.
func emptiedEtcd(r *rand.Rand, a, b int) []event {
	at := within(r, 2*time.Second, 8*time.Second)
	all := []event{
		{verb: pick(r, stops, crashes, reboots, pauses, cutEtcd), at: at - time.Second, host: b, d: within(r, time.Second, 40*time.Second)},
		{verb: empties, at: at + within(r, 0, 20*time.Second), n: r.Uint64()},
		meets(r, wants(r, a), at, a),
	}
	if r.IntN(2) == 0 {
		all = append(all, meets(r, wants(r, b), at+5*time.Second, a))
	}
	return all
}

// repeated are credentials of kinds that repeat, whose flights keep their claims.
var repeated = slices.DeleteFunc(slices.Clone(someNames), func(name string) bool {
	return !repeats(name) || slices.Contains([]string{platform + "/pre_auth_code", platform + "/wxcustomer1/jsapi_ticket"}, name)
})

// keptClaim: the life of values that WeChat repeats ends, so hosts poll. Sessions end, etcd is
// restored and hosts are disturbed while one of them keeps its claim.
func (p *plan) keptClaim(r *rand.Rand, a, b int) []event {
	p.life = 12 * time.Minute
	name := repeated[r.IntN(len(repeated))]
	i := slices.Index(p.names, name)
	if i < 0 {
		i, p.names = len(p.names), append(p.names, name)
	}
	polls := func() time.Duration { return within(r, 8*time.Minute+45*time.Second, 12*time.Minute+10*time.Second) }
	var all []event
	for range 2 + r.IntN(4) {
		all = append(all, event{verb: pick(r, rejects, rejects, refreshes), at: polls(), host: pick(r, a, b), n: uint64(i) << 8})
	}
	for range 1 + r.IntN(3) {
		all = append(all, event{
			verb: pick(r, expires, expires, pauses, cutEtcd, cutWeChat, breaksWatch, lagsWatch, crashes, stops), at: polls(), host: pick(r, a, b),
			d: within(r, time.Second, 40*time.Second), n: r.Uint64(),
		})
	}
	if r.IntN(2) == 0 {
		at := polls()
		all = append(all, event{verb: backsUp, at: at}, event{verb: restores, at: at + within(r, time.Second, time.Minute), n: r.Uint64()})
	}
	return append(all, slip(r, a))
}
