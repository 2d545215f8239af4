package server

import (
	"io"
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
	}{"a PUT": {unslowed, putLine("wxhangs")}, "a pause": {1, strings.Repeat("PING\n", 2*maxRation)}} {
		t.Run(name, func(t *testing.T) {
			p := &turning{}
			e := newGatedEngine()
			rules := []access.Rule{{UIDs: []uint32{alice}, Names: []string{"*"}, Verbs: []string{"PUT"}}}
			path, s, stop, done := d.serveUntilStop(t, Config{Engine: e, Limits: Limits{MaxConns: 4, UserRate: tt.rate}, Rules: rules, peer: p.of})
			defer func() { <-done }()
			defer stop()
			defer close(e.gate)
			for i, uid := range []uint32{alice, alice, bob, carol} {
				p.next.Store(uid)
				c, what := dialSocket(t, path), "PI"
				if uid == alice {
					what = tt.request
				}
				eventually(t, "it is idle", func() bool { return s.open.Load() == int64(i+1) && idle(s, uid) == 1 })
				if _, err := io.WriteString(c.Conn, what); err != nil {
					t.Fatal(err)
				}
				eventually(t, "it is busy", func() bool { return idle(s, uid) == 0 })
			}
			p.next.Store(carol + 1)
			last := dialSocket(t, path)
			last.want(last.ask("PING")+"\n", crowded)
		})
	}
}
