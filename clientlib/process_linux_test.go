package clientlib

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestNoGrowth holds that many calls take no more descriptors and memory than a few.
func TestNoGrowth(t *testing.T) {
	s := newTestServer(t)
	c := &Client{Socket: s.Socket}
	defer c.Close()
	call := func(n int) (descriptors int, heap uint64) {
		for range n {
			if _, err := c.Get(t.Context(), tokenName); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Get(t.Context(), ticketName); err == nil { // not set
				t.Fatal("no error")
			}
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return len(open), m.HeapAlloc
	}
	descriptors, heap := call(100)
	moreDescriptors, moreHeap := call(5000)
	if moreDescriptors > descriptors || moreHeap > heap+1<<20 {
		t.Errorf("%d descriptors and %d bytes, before %d and %d", moreDescriptors, moreHeap, descriptors, heap)
	}
}

// TestChildHasNoConnection holds that a child process does not share the client's connections.
func TestChildHasNoConnection(t *testing.T) {
	s := newTestServer(t)
	c := &Client{Socket: s.Socket}
	defer c.Close()
	if _, err := c.Get(t.Context(), tokenName); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "socket:") {
		t.Errorf("the child has\n%s", out)
	}
	if c.idleConns() != 1 {
		t.Errorf("%d connections in the pool", c.idleConns())
	}
}
