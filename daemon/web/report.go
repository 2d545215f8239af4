package web

import (
	"sync"
	"time"
)

// reasonCrowded is the key under which connections without room are reported; a status is
// never that small.
const reasonCrowded = 0

// reportEvery is how seldom one kind of refusal is logged: who can make tokend refuse shall
// not be able to fill a disk by it.
const reportEvery = 10 * time.Second

// refusals decides which refusals are logged. The zero value is ready.
type refusals struct {
	mu   sync.Mutex
	kind map[int]*reported // by status; below zero those of pages
}

type reported struct {
	last       time.Time
	unreported int // since last
}

// admit reports whether a refusal of this kind is to be logged, and how many before it
// were not.
func (rs *refusals) admit(kind int, now time.Time) (unreported int, ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	k := rs.kind[kind]
	if k == nil {
		if rs.kind == nil {
			rs.kind = make(map[int]*reported)
		}
		rs.kind[kind] = &reported{last: now}
		return 0, true
	}
	if now.Sub(k.last) < reportEvery {
		k.unreported++
		return 0, false
	}
	unreported, k.unreported, k.last = k.unreported, 0, now
	return unreported, true
}
