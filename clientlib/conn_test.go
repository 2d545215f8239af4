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

// heavy is a connection on which setting a passed deadline takes a while.
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

// TestUnguardWaits holds that a guard that has fired has finished before unguard returns. Otherwise
// the next request would get a passed deadline.
func TestUnguardWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := &heavy{}
		cn := newConn(nc)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		unguard := cn.guard(ctx)
		cancel()
		synctest.Wait() // the guard has fired and is setting the deadline
		if unguard() {
			t.Error("unguard reports an unchanged connection")
		}
		next, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		unguard = cn.guard(next)
		time.Sleep(time.Minute)
		if want, _ := next.Deadline(); !nc.deadline.Equal(want) {
			t.Errorf("deadline\n got: %v\nwant: %v", nc.deadline, want)
		}
		if !unguard() {
			t.Error("unguard reports a changed connection")
		}
	})
}

func TestGuardWithoutLimit(t *testing.T) {
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
		want       int // bytes without LF; -1 for an error
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
