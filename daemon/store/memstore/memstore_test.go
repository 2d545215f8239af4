package memstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
)

func TestFaults(t *testing.T) {
	errDisk := errors.New("disk on fire")
	one := record.Record{Table: record.Credentials, Key: "a", Value: []byte("1")}
	count := func(s *Store) (n int) {
		for range s.All(record.Credentials) {
			n++
		}
		return n
	}
	t.Run("fail the next two", func(t *testing.T) {
		var s Store
		s.Fail(2, errDisk)
		for i, want := range []error{errDisk, errDisk, nil} {
			if err := s.Put(t.Context(), one); !errors.Is(err, want) {
				t.Errorf("Put %d: got %v, want %v", i, err, want)
			}
			if got, want := count(&s), i/2; got != want {
				t.Errorf("records after Put %d: got %d, want %d", i, got, want)
			}
		}
		if got := s.Puts(); got != 3 {
			t.Errorf("Puts: got %d, want 3", got)
		}
	})
	t.Run("fail until reset", func(t *testing.T) {
		var s Store
		s.Fail(-5, errDisk)
		for range 10 {
			if err := s.Put(t.Context(), one); !errors.Is(err, errDisk) {
				t.Errorf("got %v, want %v", err, errDisk)
			}
		}
		s.Fail(0, nil)
		if err := s.Put(t.Context(), one); err != nil {
			t.Error(err)
		}
	})
	t.Run("delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var s Store
			s.Delay(3 * time.Second)
			start := time.Now()
			if err := s.Put(t.Context(), one); err != nil || time.Since(start) != 3*time.Second {
				t.Errorf("got %v after %v, want nil after 3s", err, time.Since(start))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start = time.Now()
			two := record.Record{Table: record.Credentials, Key: "b", Value: []byte("1")}
			if err := s.Put(ctx, two); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("got %v after %v, want the deadline after 1s", err, time.Since(start))
			}
			if got := count(&s); got != 1 {
				t.Errorf("records: got %d, want 1", got)
			}
		})
	})
}
