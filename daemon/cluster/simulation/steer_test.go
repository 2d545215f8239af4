package simulation

import (
	"math/rand/v2"
	"time"
)

// steer returns a round with faults at the steps of flights that REJECTs and authorizations begin.
// A quarter of the rounds have any faults at any steps. The others have those that one of the rules
// is for, or what crosses with them, at about the time when they matter.
func (p *plan) steer(r *rand.Rand) round {
	x := round{healthy: r.IntN(p.hosts), lasts: time.Duration(60+r.IntN(120)) * time.Second}
	if r.IntN(4) > 0 {
		a := faulty(r, p.hosts, x.healthy)
		b := a
		for b == a {
			b = faulty(r, p.hosts, x.healthy)
		}
		switch r.IntN(20) {
		case 0:
			x.events = p.keptClaim(r, a, b)
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11:
			x.events = pick(r, crossings...)(r, a, b)
		default:
			x.events = pick(r, reuse, reuse, lateClaim, forget, twoCalls, lostAnswer, lostDoubt, lostLanding, ended, dead, behind)(r, a, b)
		}
		for _, e := range x.events {
			x.lasts = max(x.lasts, e.at+e.d/2)
			if e.d > overlap { // it is about what happens after the overlap
				x.lasts = max(x.lasts, e.d+2*time.Minute)
			}
		}
	} else {
		x.events = p.anyStep(r, x)
	}
	if r.IntN(4) == 0 {
		verbs := []verb{pauses, cutWeChat, cutEtcd, expires, lagsWatch, mutesWatch, compacts, crashes, badTxns, badCalls, losesQuorum, rewinds, leaves}
		x.events = append(x.events, event{
			verb: pick(r, verbs...), at: within(r, 0, x.lasts/2), host: faulty(r, p.hosts, x.healthy), d: min(span(r), 100*time.Second), n: r.Uint64(),
		})
	}
	if r.IntN(12) == 0 {
		x.events = append(x.events, p.restore(r, x.lasts)...)
	}
	x.sort()
	return x
}

// within returns a time between two.
func within(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// firstName makes an event be about the first customer's token.
const firstName = 0

// anyStep returns REJECTs, and faults at any steps.
func (p *plan) anyStep(r *rand.Rand, x round) (all []event) {
	for range 1 + r.IntN(3) {
		all = append(all, event{
			verb: pick(r, rejects, rejects, rejects, rejectsAll, authorizes, exchanges), at: within(r, 0, x.lasts/2), host: faulty(r, p.hosts, x.healthy), n: r.Uint64(),
		})
	}
	for range 1 + r.IntN(4) {
		all = append(all, atStep(r, faulty(r, p.hosts, x.healthy)))
	}
	return all
}

// atStep returns a fault of a host at a step.
func atStep(r *rand.Rand, host int) event {
	e := event{
		step: pick(r, claims, claims, calls, answers, answers, journals, lands, lands, gives), nth: pick(r, 1, 1, 1, 2, 2, 3),
		host: host, d: span(r), n: r.Uint64(),
	}
	verbs := []verb{pauses, pauses, crashes, dies, reboots, cutEtcd, cutBoth, expires, mutesWatch, badTxns}
	switch e.step {
	case claims, lands, gives:
		verbs = append(verbs, loses, loses, unseen, unseen, unseen, delays, delays, delays, doubles, doubles, refuses, waits)
	case calls:
		verbs = append(verbs, loses, delays, cutWeChat, cutWeChat)
	case answers:
		verbs = append(verbs, loses, loses, loses, loses, delays)
	}
	e.verb = pick(r, verbs...)
	switch e.verb {
	case delays, doubles:
		e.d = min(e.d, time.Minute)
	case waits:
		e.d = 1400 * time.Millisecond
	}
	return e
}

// reuse: too little of the lease is left, the release of the claim has no answer, and the lease is
// extended. A session lasts 14 s from the last keep-alive, and a call needs 5 s of it.
func reuse(r *rand.Rand, a, b int) []event {
	nth, asked := 1+r.IntN(3), within(r, 8200*time.Millisecond, 8990*time.Millisecond)
	return []event{
		{verb: losesLease, step: extends, nth: nth, host: a, d: asked + within(r, 1200*time.Millisecond, 2*time.Second)},
		{verb: rejects, step: extends, nth: nth, host: a, d: asked, n: firstName},
		{verb: mutesWatch, step: claims, nth: 1, host: a, d: 30 * time.Second},
		{verb: refusesRead, step: claims, nth: 1, host: a, d: 12 * time.Second},
		{verb: waits, step: claims, nth: 1, host: a, d: 1350 * time.Millisecond},
		{verb: rejectsAll, step: gives, nth: 1, host: a, n: firstName},
		{verb: rejects, step: gives, nth: 1, host: a, d: within(r, 1600*time.Millisecond, 4*time.Second), n: firstName},
		{verb: unseen, step: gives, nth: 1, host: a},
		{verb: unseen, step: gives, nth: 2, host: a},
		{verb: unseen, step: gives, nth: 3, host: a},
		{verb: delays, step: calls, nth: 1, host: a, d: within(r, time.Second, 4*time.Second)},
		{verb: delays, step: calls, nth: 1, host: b, d: within(r, 2*time.Second, 4*time.Second)},
	}
}

// lateClaim: the first attempt of a claim takes effect after the second one was freed.
func lateClaim(r *rand.Rand, a, _ int) []event {
	at := within(r, 0, 10*time.Second)
	return []event{
		{verb: cutWeChat, at: at, host: a, d: within(r, 2*time.Second, 20*time.Second)},
		{verb: rejects, at: at + time.Second, host: a, n: firstName},
		{verb: delays, step: claims, nth: 1, host: a, d: within(r, 2*time.Second, time.Minute)},
	}
}

// forget: a call has no answer, and hosts that cannot reach WeChat take the claim over.
func forget(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 10*time.Second)
	return []event{
		{verb: cutWeChat, at: at, host: b, d: within(r, 20*time.Second, 100*time.Second)},
		{verb: rejects, at: at + time.Second, host: a, n: firstName},
		{verb: loses, step: answers, nth: 1, host: a, n: r.Uint64()},
		{verb: cutWeChat, step: gives, nth: 1, host: a, d: within(r, 20*time.Second, 100*time.Second)},
	}
}

// twoCalls: etcd ends a session during a call, for no reason. A peer calls, and WeChat may see its
// call first.
func twoCalls(r *rand.Rand, a, b int) []event {
	at := within(r, 0, 10*time.Second)
	return []event{
		{verb: rejects, at: at, host: a, n: firstName},
		{verb: expires, step: calls, nth: 1, host: a},
		{verb: delays, step: calls, nth: 1, host: a, d: within(r, time.Second, 4*time.Second)},
		{verb: rejects, at: at + within(r, 0, 2*time.Second), host: b, n: firstName},
	}
}

// lostAnswer: a host calls late, and cannot store the answer before the refresh token that its
// peers have is dead.
func lostAnswer(r *rand.Rand, a, _ int) []event {
	return []event{
		{verb: rejects, at: within(r, 0, 10*time.Second), host: a, n: firstName},
		{verb: pauses, step: calls, nth: 1, host: a, d: within(r, 18*time.Second, 40*time.Second)},
		{verb: cutEtcd, step: answers, nth: 1, host: a, d: within(r, overlap+20*time.Second, overlap+2*time.Minute)},
	}
}

// lostDoubt: a call has no answer, and neither have the transactions that leave doubt.
func lostDoubt(r *rand.Rand, a, b int) []event {
	return []event{
		{verb: rejects, at: within(r, 0, 10*time.Second), host: a, n: firstName},
		{verb: loses, step: answers, nth: 1, host: a, n: r.Uint64()},
		{verb: pick(r, loses, unseen, delays), step: gives, nth: 1, host: a, d: within(r, time.Second, 30*time.Second)},
		{verb: pick(r, loses, unseen, delays), step: gives, nth: 2, host: a, d: within(r, time.Second, 30*time.Second)},
		{verb: pick(r, cutWeChat, mutesWatch), at: 0, host: b, d: within(r, 20*time.Second, 60*time.Second)},
	}
}

// lostLanding: attempts of a landing have no answer, and the host is paused or dies.
func lostLanding(r *rand.Rand, a, b int) []event {
	verbs := []verb{loses, unseen, delays, doubles, refuses}
	return []event{
		{verb: rejects, at: within(r, 0, 10*time.Second), host: a, n: firstName},
		{verb: pick(r, verbs...), step: lands, nth: 1, host: a, d: within(r, time.Second, 40*time.Second), n: r.Uint64()},
		{verb: pick(r, append(verbs, pauses, crashes, dies, cutEtcd)...), step: lands, nth: 2, host: a, d: within(r, 5*time.Second, time.Minute), n: r.Uint64()},
		{verb: rejects, at: within(r, 10*time.Second, 30*time.Second), host: b, n: firstName},
	}
}

// ended: a host claims after etcd has ended its session, and does not know it yet.
func ended(r *rand.Rand, a, b int) []event {
	at := within(r, 5*time.Second, 15*time.Second)
	return []event{
		{verb: expires, at: at, host: a},
		{verb: rejects, at: at + within(r, 2*time.Millisecond, 2500*time.Millisecond), host: a, n: firstName},
		{verb: delays, step: calls, nth: 1, host: a, d: within(r, time.Second, 4*time.Second)},
		{verb: rejects, at: at + within(r, 2*time.Second, 4*time.Second), host: b, n: firstName},
	}
}

// dead: a host dies during a flight.
func dead(r *rand.Rand, a, _ int) []event {
	return []event{
		{verb: rejects, at: within(r, 0, 10*time.Second), host: a, n: firstName},
		{
			verb: pick(r, crashes, dies, reboots), step: pick(r, calls, answers, answers, journals, lands), nth: 1, host: a,
			d: within(r, time.Second, 40*time.Second), n: r.Uint64(),
		},
	}
}

// behind: a host whose watch is late changes what others have changed.
func behind(r *rand.Rand, a, b int) []event {
	at := within(r, 5*time.Second, 15*time.Second)
	return []event{
		{verb: pick(r, mutesWatch, lagsWatch), at: at, host: a, d: within(r, 20*time.Second, 100*time.Second), n: r.Uint64()},
		{verb: pushesOld, at: at + time.Second, host: a, d: within(r, time.Second, 15*time.Second)},
		{verb: rejects, at: at + within(r, time.Second, 5*time.Second), host: b, n: r.Uint64()},
		{verb: rejects, at: at + within(r, 2*time.Second, 20*time.Second), host: a, n: r.Uint64()},
	}
}
