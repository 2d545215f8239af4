package store

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// In Badger, beginning a transaction waits for every commit in progress, and so for the disk. A
// reader wants only what was acknowledged earlier, and must not wait for a disk that hangs. Each
// commit therefore leaves a read transaction, which is used until the next commit.

// latest is the state of a database after its last commit. A zero latest needs renew before use.
type latest struct {
	mu  sync.Mutex
	now *reading // nil after end
}

// reading is the state of a database after one of its commits.
type reading struct {
	txn   *badger.Txn // read-only, so it may be used concurrently
	users int         // including latest itself; guarded by latest.mu
}

// renew takes ownership of txn, which was begun after a commit.
func (l *latest) renew(txn *badger.Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(l.now)
	l.now = &reading{txn: txn, users: 1}
}

// end releases the transaction. enter must not be called after it.
func (l *latest) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(l.now)
	l.now = nil
}

// enter returns the current reading, to be released by leave.
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
