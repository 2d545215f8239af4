package store

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// Who begins a transaction of Badger's waits for every commit that is under way then, and so for
// the disk. Whoever reads from the store wants what was acknowledged before, and no disk that hangs
// to keep him waiting. So each commit leaves a transaction behind, for those who read until the
// next one.

// latest is a database as its last commit has left it. Its zero value wants renew.
type latest struct {
	mu  sync.Mutex
	now *reading // nil when there will be no more
}

// reading is a database as one of its commits has left it.
type reading struct {
	txn   *badger.Txn // read-only: nothing in it changes, so that many may read by it at once
	users int         // and latest itself; guarded by its mu
}

// renew takes over txn, which was begun when a commit had ended.
func (l *latest) renew(txn *badger.Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(l.now)
	l.now = &reading{txn: txn, users: 1}
}

// end is for when nobody will enter any more.
func (l *latest) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(l.now)
	l.now = nil
}

// enter returns what there is to be read, until leave.
func (l *latest) enter() *reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.users++
	return l.now
}

func (l *latest) leave(r *reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(r)
}

func (l *latest) leaveLocked(r *reading) {
	if r == nil {
		return
	}
	if r.users--; r.users == 0 {
		r.txn.Discard()
	}
}
