package clientlib

import (
	"context"
	"errors"
)

// ErrStale means that WeChat refused a value as invalid or expired. A function that [Client.Use]
// calls returns an error that wraps ErrStale to report that.
var ErrStale = errors.New("clientlib: WeChat refused the value as invalid or expired")

// Use calls f with a valid value of a credential. If f's error wraps [ErrStale], Use rejects the
// value and calls f again, with the value that the daemon then returns. f is called at most
// twice. Use returns the last error of f. If the rejection fails, that is the first one.
func (c *Client) Use(ctx context.Context, name string, f func(ctx context.Context, value Secret) error) error {
	cred, err := c.Get(ctx, name)
	if err != nil {
		return err
	}
	if err = f(ctx, cred.Value); !errors.Is(err, ErrStale) {
		return err
	}
	fresh, rejectErr := c.Reject(ctx, name, cred.Value)
	if rejectErr != nil {
		return err
	}
	return f(ctx, fresh.Value)
}
