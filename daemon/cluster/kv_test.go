package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestRefused checks after which errors a request is known not to be applied. All others must be
// treated as unknown, also those that nobody expects.
func TestRefused(t *testing.T) {
	for _, err := range []error{
		ErrNoSpace, ErrDenied, ErrTooLarge, ErrTooManyOps, ErrDuplicateKey, ErrNoLease, ErrFuture,
		&CompactedError{}, &CompactedError{Revision: 7}, fmt.Errorf("claim: %w", ErrDenied),
	} {
		if !Refused(err) {
			t.Errorf("%v: got unknown, want refused", err)
		}
	}
	for _, err := range []error{
		nil, ErrUnknown, ErrNoLeader, context.DeadlineExceeded, errors.New("etcdserver: leader changed"),
		fmt.Errorf("%w: %w", ErrUnknown, context.DeadlineExceeded), fmt.Errorf("%w: %w", ErrUnknown, ErrDenied),
	} {
		if Refused(err) {
			t.Errorf("%v: got refused, want unknown", err)
		}
	}
}
