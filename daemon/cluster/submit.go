package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"tokend/daemon/refresh"
)

// attempts is how often a transaction is made while its outcome is unknown and somebody waits. With
// the deadline of a request, that is 4.5 s. What is still unknown then is repeated in the
// background.
const attempts = 3

// submit makes a transaction. While its outcome is unknown, it is repeated: another attempt may
// have been applied, or may be later, and the caller finds that out by what the transaction
// compares. After an error, the outcome is unknown unless [Refused].
func (h *Host) submit(ctx context.Context, t Txn) (o Outcome, err error) {
	if err := fits(t); err != nil {
		return Outcome{}, err
	}
	for range attempts {
		o, err = h.txn(ctx, t)
		if err == nil || Refused(err) || ctx.Err() != nil {
			break
		}
	}
	return o, err
}

// fits returns the error of etcd for a transaction that is too large. The engine divides it between
// changes.
func fits(t Txn) error {
	size := 0
	for _, op := range t.Then {
		size += len(op.Key) + len(op.Value) + opOverhead
	}
	size += (len(t.If) + len(t.Else)) * compareSize
	switch {
	case size > MaxBytes:
		return ErrTooLarge
	case max(len(t.If), len(t.Then), len(t.Else)) > MaxOps:
		return ErrTooManyOps
	}
	return nil
}

// opOverhead and compareSize are more than what encodes an operation besides key and value, and a
// compare or a get.
const (
	opOverhead  = 32
	compareSize = 128
)

// unconfirmed returns the error of a failed transaction for an engine.
func unconfirmed(err error) error {
	if Refused(err) {
		return &unstoredError{refresh.ApartError{Reason: "etcd refuses writes: " + err.Error()}}
	}
	return &unstoredError{refresh.ApartError{Reason: unreachable}}
}

// unreachable is the reason of an [refresh.ApartError].
const unreachable = "etcd unreachable"

// unstoredError is both [refresh.ErrUnconfirmed] and an [*refresh.ApartError]: a change is not in
// etcd, or not yet, and why.
type unstoredError struct{ apart refresh.ApartError }

func (e *unstoredError) Error() string { return e.apart.Reason }

func (e *unstoredError) Is(target error) bool { return target == refresh.ErrUnconfirmed }

func (e *unstoredError) Unwrap() error { return &e.apart }

func isUnconfirmed(err error) bool { return errors.Is(err, refresh.ErrUnconfirmed) }

// newNonce returns what tells a claim or a call from all others.
func newNonce() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
