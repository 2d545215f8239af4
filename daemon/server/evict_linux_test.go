package server

import (
	"strings"
	"testing"

	"tokend/daemon/access"
)

// TestWaitingKeepsItsPlace checks that a connection whose request waits for the disk, and a paused
// one, are not replaced.
func TestWaitingKeepsItsPlace(t *testing.T) { overBoth(t, tryWaitingKeepsItsPlace) }

func tryWaitingKeepsItsPlace(t *testing.T, d driver) {
	for name, tt := range map[string]struct {
		rate    int
		request string
	}{"a PUT": {unslowed, putLine("wxhangs")}, "a pause": {1, strings.Repeat("PING\n", 2*maxQuantum)}} {
		t.Run(name, func(t *testing.T) {
			p := &turning{}
			e := newGatedEngine()
			rules := []access.Rule{{UIDs: []uint32{alice}, Names: []string{"*"}, Verbs: []string{"PUT"}}}
			path, s, stop, done := d.serveUntilStop(t, Config{Engine: e, Limits: Limits{MaxConns: 4, UserRate: tt.rate}, Rules: rules, peer: p.of})
			defer func() { <-done }()
			defer stop()
			defer close(e.gate)
			for range 2 {
				p.busy(t, s, path, alice, tt.request)
			}
			p.busy(t, s, path, bob, "PI")
			p.busy(t, s, path, carol, "PI")
			p.next.Store(carol + 1)
			last := dialSocket(t, path)
			last.want(last.ask("PING")+"\n", crowded)
		})
	}
}
