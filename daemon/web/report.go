package web

import (
	"sync"
	"time"
)

// reasonCrowded is the key for reports about too many connections. It differs from every status.
const reasonCrowded = 0

// reportEvery is the interval at which one kind of rejection is logged. A client that can provoke
// rejections must not be able to fill a disk.
const reportEvery = 10 * time.Second

// refusals decides which rejections are logged. The zero value is ready to use.
type refusals struct {
	mu   sync.Mutex
	kind map[int]*reported // by status; negative for pages
}

type reported struct {
	last       time.Time
	unreported int // since last
}

// admit reports whether a rejection of this kind is to be logged, and how many were not logged
// since the last one.
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
