package generator

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoopAllocates holds that the loop allocates nothing for a request. The server is the other
// end of a socket pair, without Go code in this process.
func TestLoopAllocates(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	plan := Plan{Socket: "unused", Requests: requests(10), Connections: 2, Reconnect: true, Duration: time.Hour}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(plan, new(atomic.Bool))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.plan.Reconnect = false // from here on the connection stays open
	l.start = time.Now()
	l.pick = newPicker(plan, 0, 1)
	l.warm = true
	l.conns[0].fd = pair[0]
	l.conns[0].replies.reset(Tokend)
	if err := l.poll.add(pair[0], 0); err != nil {
		t.Fatal(err)
	}
	if err := l.ask(0, l.now(), l.now()); err != nil {
		t.Fatal(err)
	}
	in, reply := make([]byte, 4096), []byte(ok(0, ""))
	allocations := testing.AllocsPerRun(100, func() {
		if n, errno := receive(pair[1], in); n <= 0 {
			t.Fatal(errno)
		}
		if n, errno := send(pair[1], reply); n != len(reply) {
			t.Fatal(errno)
		}
		events, err := l.poll.wait(time.Second)
		if err != nil || len(events) != 1 {
			t.Fatal(len(events), err)
		}
		if _, err := l.receive(events[0].Fd); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 || l.tally.replies != 101 {
		t.Errorf("%v allocations per request, %d replies", allocations, l.tally.replies)
	}
}
