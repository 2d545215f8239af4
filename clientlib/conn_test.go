package clientlib

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/protocol"
)

// heavy is a connection on which it takes a while to set a deadline that has passed.
type heavy struct {
	net.Conn
	deadline time.Time
}

func (c *heavy) SetDeadline(t time.Time) error {
	if t.Equal(longAgo) {
		time.Sleep(time.Second)
	}
	c.deadline = t
	return nil
}

// A guard that has sprung must have done its work before the next one is set up: else
// the next request would find its time up before it began.
func TestGuardIsOverWhenItSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := &heavy{}
		cn := newConn(nc)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		unguard := cn.guard(ctx)
		cancel()
		synctest.Wait() // the guard is at work
		if unguard() {
			t.Error("the connection is said to be as it was")
		}
		next, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		unguard = cn.guard(next)
		time.Sleep(time.Minute)
		if want, _ := next.Deadline(); !nc.deadline.Equal(want) {
			t.Errorf("deadline\n got: %v\nwant: %v", nc.deadline, want)
		}
		if !unguard() {
			t.Error("the connection is said not to be as it was")
		}
	})
}

func TestGuardWithoutAnyLimit(t *testing.T) {
	nc := &heavy{deadline: longAgo}
	if unguard := newConn(nc).guard(context.Background()); !unguard() || !nc.deadline.IsZero() {
		t.Errorf("deadline is %v", nc.deadline)
	}
}

// TestLongestLine holds that a line may have MaxLine bytes with its LF, and that a longer one is
// refused before its end arrives.
func TestLongestLine(t *testing.T) {
	for _, test := range []struct {
		name, sent string
		want       int // bytes without LF; -1 for a refusal
	}{
		{"longest", strings.Repeat("x", protocol.MaxLine-1) + "\n", protocol.MaxLine - 1},
		{"longer by one", strings.Repeat("x", protocol.MaxLine) + "\n", -1},
		{"without an end", strings.Repeat("x", 2*protocol.MaxLine), -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				go func() {
					_, _ = there.Write([]byte(test.sent))
				}()
				line, err := newConn(here).readLine()
				if test.want < 0 {
					if !errors.Is(err, ErrMalformed) {
						t.Errorf("got %d bytes, %v", len(line), err)
					}
					return
				}
				if err != nil || len(line) != test.want {
					t.Errorf("got %d bytes, %v; want %d", len(line), err, test.want)
				}
			})
		})
	}
}
