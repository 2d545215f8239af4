//go:build linux

package main

import (
	"bufio"
	"net"
	"os"
	"strings"
	"testing"

	"tokend/benchmarks/rig"
)

// TestRatio holds that servers are compared within each turn.
func TestRatio(t *testing.T) {
	r := results{"50": {"a": {{Rate: 100}, {Rate: 10}, {Rate: 300}}, "b": {{Rate: 50}, {Rate: 4}, {Rate: 100}}}}
	if got := r.ratio("50", "a", "b", rate); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
	if got := r.middle("50", "a", rate); got != 100 {
		t.Errorf("got %v, want 100", got)
	}
	if got := rig.Median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
	if got := rig.Median(nil); got != 0 {
		t.Errorf("got %v without data", got)
	}
}

func TestReported(t *testing.T) {
	out := "BenchmarkA-2   1   5 ns/op   1.25 closed/live   1.43 open/live   0 allocs/op\nBenchmarkB-2   1   5 ns/op   2 allocs/op\n"
	for unit, want := range map[string]float64{"open/live": 1.43, "closed/live": 1.25, "allocs/op": 2} {
		if got, err := reported(out, unit); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", unit, got, err, want)
		}
	}
	if _, err := reported(out, "puts/s"); err == nil {
		t.Error("a missing figure was found")
	}
}

func TestChoose(t *testing.T) {
	if got, err := rig.Choose(parts, ""); err != nil || len(got) != len(parts)-1 {
		t.Errorf("got %d, %v, want all but the named part", len(got), err)
	}
	if got, err := rig.Choose(parts, "apart"); err != nil || len(got) != 1 || got[0].Name != "apart" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := rig.Choose(parts, "disk,socket"); err != nil || len(got) != 2 || got[0].Name != "disk" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := rig.Choose(parts, "discs"); err == nil || !strings.Contains(err.Error(), `"discs"`) {
		t.Errorf("got %v", err)
	}
}

func TestStrangers(t *testing.T) {
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Skip(err)
	}
	uids, names := strangers(1)
	if len(uids) > 0 && (uids[0] == 0 || !strings.HasPrefix(names[0], `"`)) {
		t.Errorf("got %v, %v", uids, names)
	}
}

// TestFollower holds that changes reported by WATCH are counted by name, after the initial list.
func TestFollower(t *testing.T) {
	socket := t.TempDir() + "/s"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 1)
	go func() { // ends with the connection, which stop closes
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		line, _ := bufio.NewReader(nc).ReadString('\n')
		_, _ = nc.Write([]byte("OK 2\np/a/access_token fresh 9\np/a/refresh_token fresh -\nCHANGED p/a/access_token stale 5\n" +
			"CHANGED p/a/access_token expired -\nCHANGED p/a/access_token fresh 7200\nCHANGED p/a/access_token fresh 7200\n" +
			"CHANGED p/a/refresh_token fresh -\nCHANGED p/b/access_token fresh 7200\n"))
		said <- line
	}()
	f, err := follow(socket, "p/")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-said; got != "WATCH p/\n" {
		t.Errorf("asked %q", got)
	}
	f.running.Wait()
	if refreshed, ended := f.stop(); refreshed != 2 || ended != 1 {
		t.Errorf("%d refreshed and %d ended, want 2 and 1", refreshed, ended)
	}
}
