package simulation

import (
	"math/rand/v2"
	"time"
)

// Numbers that make an event be about the first customer. After a withdrawal, the next code comes
// as an event, or a client submits it.
const (
	firstByEvent  = firstName
	firstByClient = byClient + 2
)

// crossings are rounds in which authorizations, refreshes, withdrawals and restores cross.
var crossings = []func(*rand.Rand, int, int) []event{
	crossing, crossing, crossing, crossing, crossing, stuckLanding, stuckLanding, withdrawnLanding, withdrawnLanding,
	offeredCode, refusedGrant, revivedValue, restoredStep, restoredStep, lostPresence, restoredDoubt, emptiedEtcd,
}

func byAny(r *rand.Rand) uint64 { return pick[uint64](r, firstByEvent, firstByClient) }

// wants returns something that has host call for the first customer, or ends the authorization.
func wants(r *rand.Rand, host int) event {
	return event{
		verb: pick(r, authorizes, authorizes, exchanges, exchanges, rejects, rejects, rejects, refreshes, leaves), host: host, only: r.IntN(2) == 0, n: byAny(r),
	}
}

// meets makes e happen about when host a acts, or at a step of its.
func meets(r *rand.Rand, e event, at time.Duration, a int) event {
	soon := pick(r, 10*time.Millisecond, 200*time.Millisecond, 600*time.Millisecond, 4*time.Second)
	if r.IntN(2) == 0 {
		e.at = at + within(r, 0, soon)
		return e
	}
	e.by, e.host = e.host+1, a
	e.step, e.nth, e.d = pick(r, calls, answers, answers, journals, lands, gives, writes), pick(r, 1, 1, 1, 2), within(r, time.Millisecond, soon)
	return e
}

// slip returns what goes wrong with one call, answer, write or transaction of a host.
func slip(r *rand.Rand, host int) event {
	e := event{
		step: pick(r, claims, calls, calls, answers, answers, answers, lands, lands, gives, writes, journals), nth: pick(r, 1, 1, 1, 2, 2, 3),
		host: host, n: r.Uint64(),
	}
	switch e.step {
	case calls:
		e.verb, e.d = pick(r, delays, delays, delays, loses), within(r, 200*time.Millisecond, 4*time.Second)
	case answers:
		e.verb, e.d = pick(r, delays, delays, delays, loses), within(r, 200*time.Millisecond, 4*time.Second)
	case journals:
		e.verb, e.d = pick(r, pauses, crashes, dies, reboots, cutEtcd, cutBoth), within(r, time.Second, 40*time.Second)
	default:
		e.verb = pick(r, loses, unseen, unseen, delays, delays, doubles, refuses, crashes, pauses, cutEtcd, expires, mutesWatch, lagsWatch)
		e.d = within(r, 100*time.Millisecond, 40*time.Second)
	}
	return e
}

// crossing: codes, refreshes and withdrawals of one customer are under way at once, on one host or
// two. WeChat answers them in another order than the answers arrive in, or land in.
func crossing(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	first := wants(r, a)
	first.at = at
	if r.IntN(4) > 0 {
		first.verb = pick(r, authorizes, exchanges)
	}
	all := []event{first, meets(r, wants(r, pick(r, a, b, b)), at, a)}
	if r.IntN(3) == 0 {
		all = append(all, meets(r, wants(r, pick(r, a, b)), at, pick(r, a, b)))
	}
	for range 1 + r.IntN(3) {
		all = append(all, slip(r, pick(r, a, b)))
	}
	return all
}

// stuckLanding: an answer does not land for a while. The customer's token is fetched, given or
// withdrawn elsewhere before.
func stuckLanding(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	first := wants(r, a)
	if first.at = at; first.verb == leaves {
		first.verb = authorizes
	}
	all := []event{first, meets(r, wants(r, b), at+time.Second, a)}
	if r.IntN(2) == 0 {
		all = append(all, event{
			verb: pick(r, cutEtcd, cutEtcd, pauses, crashes), step: pick(r, answers, journals, lands), nth: 1, host: a,
			d: within(r, 4*time.Second, time.Minute), n: r.Uint64(),
		})
	} else {
		for n := range 1 + r.IntN(5) {
			all = append(all, event{
				verb: pick(r, loses, loses, unseen, delays, refuses), step: lands, nth: n + 1, host: a, d: within(r, time.Second, 30*time.Second), n: r.Uint64(),
			})
		}
	}
	if r.IntN(2) == 0 {
		all = append(all, event{verb: expires, step: pick(r, calls, answers, lands), nth: 1, host: a})
	}
	if r.IntN(3) == 0 {
		all = append(all, slip(r, b))
	}
	return all
}

// withdrawnLanding: the customer withdraws the authorization while an answer does not land.
func withdrawnLanding(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	all := []event{
		{verb: pick(r, authorizes, exchanges, rejects), at: at, host: a, only: r.IntN(2) == 0, n: firstByEvent},
		{verb: cutEtcd, step: pick(r, calls, answers, journals, lands), nth: 1, host: a, d: within(r, 2*time.Second, 40*time.Second)},
		{verb: leaves, at: at + within(r, 0, 10*time.Second), host: b, only: r.IntN(2) == 0, n: byAny(r)},
	}
	if r.IntN(2) == 0 {
		all = append(all, slip(r, pick(r, a, b)))
	}
	return all
}

// offeredCode: the event of an authorization arrives at a host without etcd and at another.
func offeredCode(r *rand.Rand, a, b int) []event {
	at, lasts := within(r, 0, 8*time.Second), within(r, 3*time.Second, 40*time.Second)
	all := []event{
		{verb: cutEtcd, at: at, host: a, d: lasts},
		{verb: authorizes, at: at + within(r, time.Millisecond, lasts), host: a, n: r.Uint64() % 1024},
	}
	if r.IntN(2) == 0 {
		all = append(all, event{verb: pick(r, crashes, crashes, lagsWatch), at: at + lasts - time.Second, host: a, d: within(r, time.Second, 10*time.Second), n: r.Uint64()})
	}
	if r.IntN(3) == 0 {
		all = append(all, slip(r, pick(r, a, b)))
	}
	return all
}

// refusedGrant: WeChat refuses a grant that was withdrawn, at the time of the next authorization.
func refusedGrant(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 8*time.Second)
	all := []event{
		{verb: pick(r, lagsWatch, mutesWatch, cutEtcd), at: at, host: a, d: within(r, 5*time.Second, 30*time.Second), n: r.Uint64()},
		{verb: leaves, at: at, host: a, only: true, n: byAny(r)},
	}
	for range 1 + r.IntN(2) {
		all = append(all, event{verb: rejects, at: at + within(r, time.Millisecond, 20*time.Second), host: b, n: firstName})
	}
	return append(all, event{
		verb: delays, step: pick(r, calls, answers, answers, lands), nth: 1, host: b, d: within(r, 100*time.Millisecond, 4*time.Second),
	})
}
