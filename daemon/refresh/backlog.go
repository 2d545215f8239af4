package refresh

import (
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
)

// hostBacklog is the refreshes at one host that are due and have not begun. Owners are served round
// robin; of one owner's, those go first whose values expire soonest. It is guarded by schedule.mu.
type hostBacklog struct {
	owners ring[ownerBacklog]
	len    int

	soonest clock.Instant // when to look for values that have expired while their entries wait
	ended   []*entry      // theirs, which were found and are to be taken
}

// ownerBacklog is the backlog of one owner.
type ownerBacklog [dueHeaps]entryHeap

// The heaps of an owner.
const (
	ownDue     = iota // the account's own credentials, which are not paced
	pacedDue          // customers'
	yieldedDue        // customers' that have yielded to others, see release
	dueHeaps
)

// add lets en wait in the given heap of its owner until its value expires at the instant end.
func (b *hostBacklog) add(number int, en *entry, end clock.Instant) {
	h := &b.owners.join(credential.OwnerOf(en.name))[(number-1)%dueHeaps]
	h.number = int32(number)
	h.add(slot{end, en})
	if b.len == 0 {
		b.soonest = end
	}
	b.soonest = min(b.soonest, end)
	b.len++
}

// drop takes out en, which is at i in the given heap of its owner.
func (b *hostBacklog) drop(number int, en *entry, i int) {
	owner := credential.OwnerOf(en.name)
	d := b.owners.find(owner)
	d[(number-1)%dueHeaps].remove(i)
	b.dropped(owner, d)
}

func (b *hostBacklog) dropped(owner any, d *ownerBacklog) {
	b.len--
	if len(d[ownDue].slots)+len(d[pacedDue].slots)+len(d[yieldedDue].slots) == 0 {
		b.owners.leave(owner)
	}
}

// expired takes out an entry whose value has expired while it waited; nil for none.
func (b *hostBacklog) expired(now clock.Instant) *entry {
	if len(b.ended) == 0 && b.len > 0 && now >= b.soonest {
		b.findExpired(now)
	}
	n := len(b.ended) - 1
	if n < 0 {
		b.ended = nil
		return nil
	}
	en := b.ended[n]
	b.ended = b.ended[:n]
	return en
}

// findExpired takes all entries whose values have expired out of the heaps. To look at many owners
// takes time, and is not done for each value.
func (b *hostBacklog) findExpired(now clock.Instant) {
	b.soonest = never
	for owner, d := range b.owners.all {
		for i := range d {
			h := &d[i]
			for len(h.slots) > 0 && h.slots[0].due <= now {
				b.ended = append(b.ended, h.first())
				b.dropped(owner, d)
			}
			if len(h.slots) > 0 {
				b.soonest = min(b.soonest, h.slots[0].due)
			}
		}
	}
	b.soonest = max(b.soonest, now.Add(time.Duration(len(b.owners.by))*time.Microsecond))
}

// release takes out the entry to be refreshed next of an owner that has room; nil for none. Own
// credentials of accounts go first, which are few; unpaced means no others. Where there is no time
// for all, customers' that nobody has wanted lately yield to those that somebody has.
func (b *hostBacklog) release(room func(owner any) bool, unpaced, short bool, now clock.Instant) *entry {
	owner, d := b.owners.next(func(owner any, d *ownerBacklog) bool { return len(d[ownDue].slots) > 0 && room(owner) })
	if d != nil {
		en := d[ownDue].first()
		b.dropped(owner, d)
		return en
	}
	if unpaced {
		return nil
	}
	owner, d = b.owners.next(func(owner any, d *ownerBacklog) bool {
		return len(d[pacedDue].slots)+len(d[yieldedDue].slots) > 0 && room(owner)
	})
	if d == nil {
		return nil
	}
	en := d.release(short, now)
	b.dropped(owner, d)
	return en
}

// release takes out the customer's entry of most need; there is one.
func (d *ownerBacklog) release(short bool, now clock.Instant) *entry {
	w, y := &d[pacedDue], &d[yieldedDue]
	if short {
		for range yieldAtOnce {
			if len(w.slots) == 0 || w.slots[0].due >= behind || w.slots[0].en.lately(now) {
				break
			}
			x := w.slots[0]
			w.remove(0)
			y.number = w.number + yieldedDue - pacedDue
			y.add(x)
		}
	}
	if len(y.slots) == 0 || len(w.slots) > 0 && (w.slots[0].due < y.slots[0].due || short && w.slots[0].due < behind) {
		return w.firstOf()
	}
	return y.firstOf()
}

// yieldAtOnce bounds how many yield in one release, for which readers of the schedule are held up.
const yieldAtOnce = 64

// needs returns how many refreshes a second it takes for the whole backlog to be refreshed before
// the values expire, soonest first. An expired value that somebody has wanted lately is overdue.
func (b *hostBacklog) needs(now clock.Instant) float64 {
	var ends demand
	every, skip := 1+b.len/samples, 0
	for _, d := range b.owners.all {
		for i := range d {
			skip = d[i].sample(&ends, now, every, skip)
		}
	}
	return ends.rate()
}

// samples is of how many values a sample is, about.
const samples = 1 << 14

// behind is added to the instants of those that wait for the pace with nothing left to lose: they
// come after all whose values still live, first come first served.
const behind = never / 2

// demand is how many of those that wait end when, in steps of demandStep from now on.
type demand [120]int

// demandStep is that of a demand, which reaches ten minutes ahead: the longest lead. What lives
// longer is in no hurry.
const demandStep = 5 * time.Second

// add counts n that have left of their life.
func (d *demand) add(left time.Duration, n int) {
	if i := left / demandStep; left >= 0 && i < time.Duration(len(d)) {
		d[i] += n
	}
}

// rate returns how many a second are enough for each to begin before its end, if those that
// end soonest go first.
func (d *demand) rate() (most float64) {
	sum := 0
	for i, n := range d {
		sum += n
		// By the beginning of the step, or a second from now.
		most = max(most, float64(sum)/max(time.Duration(i)*demandStep, time.Second).Seconds())
	}
	return most
}
