package clientlib

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tokend/clientlib/clientlibtest"
	"tokend/protocol"
)

// newTestServer starts a fake daemon with one token and its successor.
func newTestServer(t *testing.T) *clientlibtest.Server {
	t.Helper()
	s := clientlibtest.NewServer()
	t.Cleanup(s.Close)
	s.Set(tokenName, "tok-01", 2*time.Hour)
	s.Next(tokenName, "tok-02")
	return s
}

func TestUse(t *testing.T) {
	refused := fmt.Errorf("errcode 40001: %w", ErrStale)
	failed := errors.New("failed")
	for _, tt := range []struct {
		about   string
		results []error // of f, in order
		reject  *Error
		calls   int
		rejects int
		want    error
	}{
		{"accepted", []error{nil}, nil, 1, 0, nil},
		{"refused once", []error{refused, nil}, nil, 2, 1, nil},
		{"refused twice", []error{refused, refused}, nil, 2, 1, refused},
		{"another error", []error{failed}, nil, 1, 0, failed},
		{"another error later", []error{refused, failed}, nil, 2, 1, failed},
		{"no replacement", []error{refused}, &Error{Code: ErrLimited, RetryAfter: time.Second, Message: "not now"}, 1, 1, refused},
	} {
		t.Run(tt.about, func(t *testing.T) {
			s := newTestServer(t)
			tokens := Tokens{Client: &Client{Socket: s.Socket}}
			defer tokens.Client.Close()
			var values []string
			err := tokens.Use(t.Context(), tokenName, func(_ context.Context, value Secret) error {
				values = append(values, value.Reveal())
				s.Fail(tokenName, tt.reject)
				return tt.results[len(values)-1]
			})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || len(values) != tt.calls {
				t.Errorf("%d calls, error %v; want %d, %v", len(values), err, tt.calls, tt.want)
			}
			if len(values) == 2 && (values[0] != "tok-01" || values[1] != "tok-02") {
				t.Errorf("called with %q", values)
			}
			if got := s.Count(protocol.VerbReject, tokenName); got != tt.rejects {
				t.Errorf("%d rejections, want %d", got, tt.rejects)
			}
		})
	}
	t.Run("no value", func(t *testing.T) {
		s := newTestServer(t)
		c := &Client{Socket: s.Socket}
		defer c.Close()
		if err := c.Use(t.Context(), ticketName, func(context.Context, Secret) error { t.Error("called"); return nil }); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}
