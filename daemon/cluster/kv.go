package cluster

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// KV is a client of etcd that uses one endpoint. To use another endpoint, open another KV and close
// this one. Its methods may be called concurrently.
//
// Every method returns when ctx is done, at the latest. An error is one of those below, possibly
// wrapped. Whether a request was applied is unknown after any error but a refusal: see [Refused].
type KV interface {
	// Range returns the present keys that r selects, in order.
	Range(ctx context.Context, r Range) (Page, error)

	// Txn applies t. All of it is applied at one revision, or none of it.
	Txn(ctx context.Context, t Txn) (Outcome, error)

	// Grant creates a lease. Its life is at least ttl, in whole seconds. etcd may lengthen a short
	// life; the result has what it granted.
	Grant(ctx context.Context, ttl time.Duration) (Lease, time.Duration, error)

	// KeepAlive starts the life of a lease again, once, and returns that life. It returns
	// [ErrNoLease] if the lease has ended.
	KeepAlive(ctx context.Context, l Lease) (time.Duration, error)

	// Revoke ends a lease and deletes the keys attached to it. It returns [ErrNoLease] if the lease
	// has ended already.
	Revoke(ctx context.Context, l Lease) error

	// Watch yields the changes of the keys with a prefix, from a revision on: at least 1, possibly
	// in the future. Revisions arrive in order, each of them whole. The sequence ends after its
	// first error: when ctx is done, without a leader ([ErrNoLeader]), outside the rights of the
	// client's user ([ErrDenied]), and if the revision has been compacted ([*CompactedError]).
	// While the endpoint is unreachable, it may yield nothing.
	Watch(ctx context.Context, prefix string, from int64) iter.Seq2[[]KeyValue, error]

	// Close ends all requests and watches.
	Close() error
}

// Limits of etcd, in its default configuration.
const (
	// MaxOps is how many operations each branch of a transaction may have, and how many compares
	// the transaction.
	MaxOps = 128

	// MaxBytes is the size of a transaction that etcd accepts in any case. It refuses more than
	// 1.5 MiB, with what encodes the request.
	MaxBytes = 1_500_000
)

// Errors of a [KV]. A refused request was not applied and never will be.
var (
	// ErrUnknown is returned if no answer has arrived: the request may have been applied, or may
	// still be.
	ErrUnknown = errors.New("no answer from etcd")

	// ErrNoLeader ends a watch while etcd has no quorum. A request that fails with it may be
	// applied.
	ErrNoLeader = errors.New("etcdserver: no leader")

	// ErrNoSpace refuses puts, transactions with a put in either branch, and new leases.
	ErrNoSpace = errors.New("etcdserver: mvcc: database space exceeded")

	// ErrDenied refuses a request outside the rights of the client's user.
	ErrDenied = errors.New("etcdserver: permission denied")

	// ErrTooLarge refuses a request of more than 1.5 MiB.
	ErrTooLarge = errors.New("etcdserver: request is too large")

	// ErrTooManyOps refuses a transaction with more than [MaxOps] operations.
	ErrTooManyOps = errors.New("etcdserver: too many operations in txn request")

	// ErrDuplicateKey refuses a transaction that changes a key twice.
	ErrDuplicateKey = errors.New("etcdserver: duplicate key given in txn request")

	// ErrNoLease refuses a put with a lease that has ended.
	ErrNoLease = errors.New("etcdserver: requested lease not found")

	// ErrFuture refuses a range at a revision that etcd has not reached.
	ErrFuture = errors.New("etcdserver: mvcc: required revision is a future revision")
)

// CompactedError refuses a range at a revision that has been compacted, or ends a watch from one.
type CompactedError struct {
	// Revision is the oldest available revision. It is zero for a range.
	Revision int64
}

func (e *CompactedError) Error() string {
	if e.Revision == 0 {
		return "etcdserver: mvcc: required revision has been compacted"
	}
	return fmt.Sprintf("etcdserver: mvcc: revisions before %d have been compacted", e.Revision)
}

// refusals are the errors after which a request was not applied.
var refusals = []error{ErrNoSpace, ErrDenied, ErrTooLarge, ErrTooManyOps, ErrDuplicateKey, ErrNoLease, ErrFuture}

// Refused reports whether err is a definite answer: the request was not applied and never will be.
// After every other error the outcome is unknown, also after errors that this package does not
// know.
func Refused(err error) bool {
	if _, ok := errors.AsType[*CompactedError](err); ok {
		return true
	}
	return !errors.Is(err, ErrUnknown) && slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(err, r) })
}

// Lease identifies a lease. Zero is none.
type Lease int64

// KeyValue is a key as of a revision. Values must not be changed.
type KeyValue struct {
	Key   string
	Value []byte

	// Created is the revision that created the key, Modified that of the last change. Version
	// counts the changes since Created, from 1. All are zero for an absent key. A deletion in a
	// watch has Modified only.
	Created, Modified, Version int64

	// Lease is the lease that the key is attached to. The key is deleted when the lease ends. Each
	// put attaches the key to its own lease, or to none.
	Lease Lease
}

// Present reports whether the key is not absent or deleted.
func (kv KeyValue) Present() bool { return kv.Version > 0 }

// Header is the state of etcd when it answered.
type Header struct {
	// Cluster identifies the etcd. A restore from a backup may change it.
	Cluster uint64

	// Revision is the last change of any key. Only a restore from a backup makes it lower.
	Revision int64
}

// Range selects a page of keys.
type Range struct {
	Prefix string
	After  string // the last key of the previous page; empty: from the first
	Limit  int    // keys of the page; zero: all

	// Revision is the revision of the page, so that all pages show the same state. Zero is the
	// latest.
	Revision int64

	// Serializable allows the endpoint to answer from its own state. That is faster, needs no
	// quorum, and may be behind. Use it for pages at a known revision.
	Serializable bool
}

// Page is the result of a [Range].
type Page struct {
	Header
	Keys []KeyValue
	More bool // there are keys after the last one
}

// Txn is a transaction: Then is applied if all compares hold, Else otherwise. An operation that
// gets a key sees the changes of those before it.
type Txn struct {
	If         []Compare
	Then, Else []Op
}

// puts reports whether Then changes a key for certain, so that it has a revision of its own.
func (t *Txn) puts() bool {
	return slices.ContainsFunc(t.Then, func(op Op) bool { return op.Verb == Put })
}

// Compare compares a field of a key with a value. The fields of an absent key are zero.
type Compare struct {
	Key   string
	Field Field
	Not   bool // they must differ
	Value int64
}

// Field is what a [Compare] compares.
type Field uint8

// Fields of a [KeyValue].
const (
	Modified Field = iota
	Created
	Version
)

// Op is an operation of a [Txn] on one key.
type Op struct {
	Verb  Verb
	Key   string
	Value []byte // of a Put
	Lease Lease  // of a Put
}

// Verb is what an [Op] does.
type Verb uint8

// Verbs.
const (
	Get Verb = iota
	Put
	Delete
)

// Outcome is the result of a [Txn].
type Outcome struct {
	Header
	Held bool // all compares held, so Then was applied

	// Got has a KeyValue for each Get of the applied branch, in order. Absent keys have only their
	// Key.
	Got []KeyValue
}
