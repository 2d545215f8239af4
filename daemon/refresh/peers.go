package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/record"
)

// Peers are the other hosts that serve the same accounts. A nil [Config].Peers means a single host.
// The methods may be called concurrently.
type Peers interface {
	// Claim asks for permission to call, and stores recs with it: the budgets with the call
	// counted, and the hold that an interrupted call leaves. The names of recs are locked. The
	// error is one of these, possibly wrapped:
	//
	//   - [ErrRenewed], in a [*NewerError]: look again, then claim again if still necessary.
	//   - [*TakenError]: another host is calling.
	//   - [ErrApart], in an [*ApartError]: no claim can be obtained now.
	//   - [ErrUnconfirmed], with a Claim: the call needs no permission, and recs are not stored.
	//     Only for a Want that does not rotate. It may be an ApartError, too.
	Claim(ctx context.Context, want Want, recs ...record.Record) (Claim, error)

	// Rank returns the place of this host in the order in which of hosts call for a credential,
	// from 0, and how many hosts are alive, at least 1.
	Rank(name string) (place, of int)

	// Offset bounds this host's clock minus that of another boot. It reports false for a boot that
	// no live host has met.
	Offset(boot string) (low, high time.Duration, ok bool)

	// Confirmed is the last instant at which this host was known to have every change. It is zero
	// if there was none in this run.
	Confirmed() Instant
}

// Claim is permission for the calls of one flight. Exactly one of Land and Give ends it: Land
// unless it returns [ErrRenewed].
type Claim interface {
	// Until is when a rotating call has to end. A call that may take longer is not begun.
	Until() Instant

	// Put stores the budgets of a further call. The errors are ErrRenewed (in a [*NewerError]),
	// ErrOvertaken (the call must not be made) and ErrUnconfirmed.
	Put(ctx context.Context, recs ...record.Record) error

	// Land stores an answer: a value, a grant, or the hold that a refusal calls for. After a live
	// grant alone, a fetch will follow. The names of recs are locked. The error is one of these:
	//
	//   - [ErrRenewed], in a [*NewerError]: other records have changed. Look again and land again.
	//   - [ErrOvertaken], in a [*NewerError]: another host has called since. The answer is not
	//     lost: a grant is kept as a further generation, and a fetch will follow.
	//   - [ErrUnconfirmed]: the answer of a rotating call is safe on this host, and stored as soon
	//     as possible. Any other answer is not stored, and the engine stores it later.
	Land(ctx context.Context, recs ...record.Record) error

	// Give ends a claim without an answer. sent reports whether a call may have been sent whose
	// answer is unknown. The error is for the log: Give is repeated until it is applied.
	Give(ctx context.Context, sent bool) error
}

// Want is what a claim is for.
type Want struct {
	// Table and Name are those of the record that the call is to replace: of a credential or a
	// code.
	Table record.Table
	Name  string

	// Grant is the name of the grant that the call is made with, empty if there is none.
	Grant string

	// Rotates reports that a call ends the value before it, or uses something up. It is never made
	// without permission.
	Rotates bool

	// Alone asks for permission although another host has it: a reader has waited for that host
	// long enough. Only for what does not rotate.
	Alone bool
}

// overlap is how long WeChat accepts a value after it has been rotated.
const overlap = 5 * time.Minute

// mostRounds is how often a change is prepared again because another host was first.
const mostRounds = 20

// sharedBatch is how many records are written at once that have nothing to do with each other. The
// store of all hosts takes 128 in one write.
const sharedBatch = 64

// Errors of [Peers], of a [Claim] and of the Store of a host with peers.
var (
	// ErrRenewed means that newer records are stored than those that a change was made of.
	ErrRenewed = errors.New("newer records are stored")

	// ErrOvertaken means that another host has called since.
	ErrOvertaken = errors.New("another host has called since")

	// ErrApart means that the store of all hosts cannot be used now.
	ErrApart = errors.New("the shared store cannot be used")

	// ErrUnconfirmed means that the store of all hosts has not confirmed a write. What is stored on
	// this host then depends on the method: see Peers and Claim. A Put of a Store stores nothing.
	ErrUnconfirmed = errors.New("the shared store has not confirmed the write")
)

// putter stores records: a Store, or a claim.
type putter interface {
	Put(ctx context.Context, recs ...record.Record) error
}

// lander stores an answer by the claim that its call was made with.
type lander struct {
	Claim
	rotates bool
}

func (l lander) Put(ctx context.Context, recs ...record.Record) error {
	err := l.Land(ctx, recs...)
	if l.rotates && errors.Is(err, ErrUnconfirmed) {
		return &pendingError{err}
	}
	return err
}

// pendingError is the error of a landing that the peers repeat until its outcome is known.
type pendingError struct{ error }

func (e *pendingError) Unwrap() error { return e.error }

// pending reports whether err is a [*pendingError].
func pending(err error) bool {
	_, ok := errors.AsType[*pendingError](err)
	return ok
}

// newerIn returns the NewerError in err; nil if there is none.
func newerIn(err error) *NewerError {
	newer, ok := errors.AsType[*NewerError](err)
	if !ok && errors.Is(err, ErrOvertaken) {
		return &NewerError{Err: ErrOvertaken}
	}
	return newer
}

// NewerError is [ErrRenewed] or [ErrOvertaken], with the records that are stored. Its receiver
// unlocks the names, calls [Engine.Follow] with Records, and looks again.
type NewerError struct {
	Err     error
	Records []record.Record
}

func (e *NewerError) Error() string { return e.Err.Error() }

// Unwrap returns ErrRenewed or ErrOvertaken.
func (e *NewerError) Unwrap() error { return e.Err }

// TakenError is returned while another host is calling.
type TakenError struct{ Host string }

func (e *TakenError) Error() string { return "host " + e.Host + " is fetching the credential" }

// ApartError is [ErrApart]. Reason is one line for clients: "etcd unreachable", or "etcd refuses
// writes: " and etcd's error.
type ApartError struct{ Reason string }

func (e *ApartError) Error() string { return e.Reason }

// Is reports whether target is ErrApart.
func (e *ApartError) Is(target error) bool { return target == ErrApart }
