package clientlib

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
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
