package simulation

import (
	"fmt"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
)

// choose decides the fate of a request of p to etcd.
func (p *process) choose(r kvtest.Request) kvtest.Fault {
	if p.isDead() {
		return kvtest.Fault{Lost: true}
	}
	h, w := p.host, p.host.world
	if w.script != nil {
		if f, ok := w.script.fate(h, r); ok {
			return f
		}
	}
	f := kvtest.Fault{Delay: h.micros(200, 1500), Answer: h.micros(200, 1500)}
	if r.Method != kvtest.Txn {
		f.Lost = h.chance(badTxns)
		if r.Method == kvtest.Range && h.fails(refusesRead) {
			f.Refuse = cluster.ErrDenied
		}
		if r.Method == kvtest.KeepAlive {
			f.Lost = f.Lost || h.fails(losesLease)
			w.atStep(h, extends, "the session")
		}
		return f
	}
	t := w.names.read(w.etcd, r.Txn)
	fate := event{}
	if t.step != noStep {
		fate = w.atStep(h, t.step, t.what)
		if p.isDead() {
			w.note(h, "txn %s: never sent", t.what)
			return kvtest.Fault{Lost: true}
		}
	}
	if fate.verb == "" && t.what != "" && h.chance(badTxns) {
		n := h.roll()
		fate = event{verb: []verb{loses, unseen, unseen, delays, doubles, refuses}[n%6], d: time.Duration(n>>8) % time.Minute, n: n}
	}
	how := ""
	switch fate.verb {
	case loses:
		f.Lost, how = true, ", lost"
	case unseen:
		f.Unseen, how = true, ", applied, answer lost"
	case delays:
		f.Delay += fate.d
		how = fmt.Sprintf(", late by %v", fate.d)
	case waits:
		f.Answer += fate.d
		how = ", answer late"
	case doubles:
		f.Again = fate.d
		how = fmt.Sprintf(", again after %v", fate.d)
	case refuses:
		f.Refuse = cluster.ErrNoSpace
		if fate.n%2 == 0 {
			f.Refuse = fmt.Errorf("%w: connection refused", cluster.ErrUnknown)
		}
		how = ", answered " + f.Refuse.Error()
	}
	if t.what != "" {
		w.note(h, "txn %s%s", t.what, how)
	}
	return f
}

// micros returns a duration of least to most microseconds.
func (h *host) micros(least, most int) time.Duration {
	low, high := time.Duration(least)*time.Microsecond, time.Duration(most)*time.Microsecond
	return low + time.Duration(h.roll()%uint64(high-low))
}
