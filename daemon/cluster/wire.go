package cluster

import (
	"context"
	"time"

	"tokend/daemon/cluster/seal"
)

// aloneAfter is how long a host that has the cluster's records waits for etcd before it serves
// them.
const aloneAfter = 3 * time.Second

// wire makes the parts of h that receive what other hosts store.
func (h *Host) wire(root seal.Root, sealer *seal.Sealer) error {
	r := newReports(h.log)
	h.members = newMembers(h.cfg.Prefix, sealer, r.report, h.claims.ended)
	h.clocks = newClocks(h.cfg.Boot, h.cfg.Clock.Now)
	h.signs = newSigns(h.cfg.Prefix)
	h.beats = newHeartbeats(heartbeatConfig{
		prefix: h.cfg.Prefix, host: h.cfg.Host, sealer: sealer, sessions: h.sessions, members: h.members, clocks: h.clocks,
		clock: h.cfg.Clock, wall: h.cfg.Clock.Time, link: h.cfg.Link, txn: h.txn, report: r.report,
		counts: h.shared, signs: h.signs, restores: func() int64 { return h.mirror.restores.Load() }, suspect: func(why string) { h.mirror.want(why) },
	})
	h.mirror = newMirror(mirrorConfig{
		keys: h.keys, link: h.cfg.Link, txn: h.txn, local: h.store, apply: h.apply, claims: h.claims,
		members: h.members, clocks: h.clocks, beats: h.beats, clock: h.cfg.Clock, wall: h.cfg.Clock.Time, reports: r, log: h.log,
		putRoot: func(ctx context.Context) error {
			_, _, err := h.createRoot(ctx, root, true)
			return err
		},
		signs: h.signs,
		grant: h.cfg.Grant,
	})
	return h.mirror.begin()
}

// readied makes Ready return: after the first contact, if no other machine uses the host's name, or
// if etcd is unreachable and the host has the records of an earlier run.
func (h *Host) readied(ctx context.Context) error {
	alone := time.NewTimer(aloneAfter)
	defer alone.Stop()
	early := alone.C
	if h.mirror.reached() == 0 {
		early = nil
	}
	for next := h.beats.first; ; {
		select {
		case <-next:
			if next == h.sessions.free {
				close(h.ready)
				return nil
			}
			next = h.sessions.free
		case <-ctx.Done():
			return nil
		case <-early:
			if h.mirror.unreachable.Load() {
				close(h.ready)
				return nil
			}
			alone.Reset(meetingPause)
		}
	}
}

// shared returns the figures that a host tells its peers.
func (h *Host) shared() map[string]int64 {
	return map[string]int64{
		"claims": h.counts.claims.Load(), "takeovers": h.counts.takeovers.Load(), "doubts": h.counts.doubts.Load(),
		"sessions": h.sessions.Begun(),
	}
}
