package cluster

import (
	"testing"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestJudge compares copies with what etcd has. The peer's clock is an hour behind this host's.
func TestJudge(t *testing.T) {
	const own, peer, unknown = "x@web1", "x@web2", "x@web3"
	boottime := 100 * time.Hour
	c := clock.New(func() time.Duration { return boottime })
	now := time.Unix(1e9, 0)
	m := newMirror(mirrorConfig{clocks: newClocks(own, c.Now), clock: c, wall: func() time.Time { return now }})
	at := c.Now()
	m.clocks.heard(heartbeat{Boot: peer, Instant: at.Add(-time.Hour), Seen: map[string]arrival{own: {Sent: at.Add(-time.Second), Reached: at.Add(-time.Hour)}}}, at)

	// A moment some time ago, by the clock of a boot, with a wall clock that shows something else.
	ago := func(boot string, d, wall time.Duration) record.Moment {
		since := boottime - d
		if boot != own {
			since -= time.Hour
		}
		return record.Moment{Wall: now.Add(-wall), Since: since}
	}
	credential := func(revision int64, value secret.Text, boot string, issued, wall time.Duration, change ...func(*record.Credential)) record.Record {
		c := record.Credential{Name: "c", Value: value, Boot: boot, Issued: ago(boot, issued, wall), End: ago(boot, -time.Hour, -time.Hour)}
		for _, f := range change {
			f(&c)
		}
		r := c.Encode()
		r.Revision = revision
		return r
	}
	stamped := func(s int) func(*record.Credential) {
		return func(c *record.Credential) { c.Stamp = now.Add(time.Duration(s) * time.Second) }
	}
	walled := func(c *record.Credential) { c.Walled = true }
	ended := func(c *record.Credential) { c.End = ago(c.Boot, time.Second, -time.Hour) }
	grant := func(revision int64, number uint64, values ...secret.Text) record.Record {
		g := record.Grant{Name: "g", Number: number}
		for _, v := range values {
			g.Replace(record.Generation{Value: v, At: now, Source: "put"})
		}
		r := g.Encode()
		r.Revision = revision
		return r
	}
	revoked := func(r record.Record) record.Record {
		g, err := record.DecodeGrant(r)
		if err != nil {
			t.Fatal(err)
		}
		g.Revoked = now
		return record.Record{Table: r.Table, Key: r.Key, Value: g.Encode().Value, Revision: r.Revision}
	}
	budget := func(revision int64, boot string, last time.Duration) record.Record {
		r := record.Budget{Key: "b", Window: 24 * time.Hour, Boot: boot, Slices: []record.Slice{{Calls: 1, Last: ago(boot, last, last)}}}.Encode()
		r.Revision = revision
		return r
	}
	other := func(table record.Table, revision int64, value string) record.Record {
		return record.Record{Table: table, Key: "x", Value: []byte(value), Revision: revision}
	}
	spent := func(left time.Duration) record.Record {
		return record.Spent{Owner: "p", Child: "c", Boot: own, Until: ago(own, -left, -left)}.Encode("x")
	}
	for _, test := range []struct {
		name         string
		ours, theirs record.Record
		restored     bool
		want         verdict
		alarm        bool
	}{
		{"no copy", record.Record{Table: record.Grants, Key: "g"}, grant(9, 1, "a"), false, takeOver, false},

		{"same grant", grant(9, 1, "a"), grant(9, 1, "a"), false, alike, false},
		{"same grant, another revision", grant(9, 1, "a"), grant(5, 1, "a"), true, alike, false},
		{"lower number", grant(9, 1, "a"), grant(5, 2, "b"), true, takeOver, false},
		{"higher number", grant(5, 2, "b"), grant(9, 1, "a"), false, putBack, true},
		{"higher number of a local grant", grant(0, 2, "b"), grant(9, 1, "a"), false, putBack, true},
		{"equal number", grant(9, 2, "a", "b"), grant(9, 2, "a", "c"), false, keepBoth, true},
		{"equal number, known generation", grant(9, 2, "a"), grant(9, 2, "a", "b"), false, takeOver, false},
		{"equal number, revoked there", grant(9, 2, "a"), revoked(grant(9, 2, "a")), false, takeOver, false},
		{"damaged copy", other(record.Grants, 9, "?"), grant(9, 1, "a"), false, takeOver, false},
		{"grant of a newer version", grant(9, 1, "a"), other(record.Grants, 9, "\xf0"), false, alike, false},

		{"same revision", credential(5, "a", own, 0, 0), credential(5, "b", peer, time.Minute, 0), false, alike, false},
		{"same value", credential(5, "a", own, 0, 0), credential(6, "a", peer, time.Minute, 0), true, takeOver, false},
		{"issued earlier", credential(5, "a", own, time.Minute, 0), credential(6, "b", peer, 0, time.Hour), false, takeOver, false},
		{"issued later by clocks, earlier in etcd", credential(5, "a", own, 0, time.Hour), credential(6, "b", peer, time.Minute, 0), false, takeOver, false},
		{"issued later, never in etcd", credential(0, "a", own, 0, time.Hour), credential(6, "b", peer, time.Minute, 0), false, putBack, false},
		{"issued later, restored", credential(9, "a", own, 0, time.Hour), credential(6, "b", peer, time.Minute, 0), true, putBack, true},
		{"issued earlier, restored", credential(9, "a", own, time.Minute, 0), credential(6, "b", peer, 0, time.Hour), true, takeOver, false},
		{"within the uncertainty", credential(5, "a", own, time.Second, 0), credential(6, "b", peer, time.Second/2, time.Hour), false, takeOver, false},
		{"of peers, later, restored", credential(5, "a", peer, 0, 0), credential(6, "b", own, time.Minute, 0), true, putBack, true},
		{"unknown boot", credential(5, "a", own, 0, 0), credential(6, "b", unknown, 0, time.Minute), false, takeOver, false},
		{"unknown boot, restored", credential(5, "a", own, 0, 0), credential(6, "b", unknown, 0, time.Minute), true, putBack, true},
		{"unknown boot, later, restored", credential(5, "a", own, 0, time.Minute), credential(6, "b", unknown, 0, 0), true, takeOver, false},
		{"by the wall clock", credential(5, "a", own, 0, 0, walled), credential(6, "b", peer, time.Minute, time.Minute), false, takeOver, false},
		{"ended", credential(5, "a", own, 0, 0, ended), credential(6, "b", peer, time.Minute, 0), true, takeOver, false},
		{"pushed earlier", credential(5, "a", own, 0, 0, stamped(1)), credential(6, "b", peer, time.Minute, 0, stamped(2)), false, takeOver, false},
		{"pushed later", credential(5, "a", own, time.Minute, 0, stamped(2)), credential(6, "b", peer, 0, 0, stamped(1)), false, putBack, false},
		{"never in etcd, restored", credential(0, "a", own, 0, 0), credential(6, "b", peer, time.Minute, 0), true, putBack, false},
		{"damaged value", other(record.Credentials, 5, "?"), credential(6, "b", peer, time.Minute, 0), true, takeOver, false},
		{"value of a newer version", credential(5, "a", own, 0, 0), other(record.Credentials, 6, "\xf0"), false, takeOver, false},

		{"budget", budget(5, own, 0), budget(6, peer, time.Minute), false, takeOver, false},
		{"budget, restored", budget(9, own, 0), budget(6, peer, time.Minute), true, putBack, false},
		{"earlier budget, restored", budget(9, own, time.Hour), budget(6, peer, time.Minute), true, takeOver, false},
		{"budget of an unknown boot, restored", budget(9, unknown, 0), budget(6, peer, time.Minute), true, putBack, false},
		{"hold", other(record.Holds, 9, "1"), other(record.Holds, 6, "2"), true, takeOver, false},
		{"same hold", other(record.Holds, 6, "1"), other(record.Holds, 6, "1"), false, alike, false},
		{"code", other(record.Codes, 5, "1"), other(record.Codes, 6, "2"), false, takeOver, false},
		{"exchanged there", other(record.Codes, 5, "1"), spent(time.Hour), false, takeOver, false},
		{"exchanged here", spent(time.Hour), other(record.Codes, 6, "2"), false, takeOver, false},
		{"exchanged here, restored", spent(time.Hour), other(record.Codes, 6, "2"), true, putBack, true},
		{"exchanged here long ago, restored", spent(-time.Hour), other(record.Codes, 6, "2"), true, takeOver, false},
		{"key", other(record.Keys, 5, "1"), other(record.Keys, 6, "2"), false, takeOver, false},
		{"same key", other(record.Keys, 9, "1"), other(record.Keys, 6, "1"), true, alike, false},
	} {
		got := m.judge(test.ours, test.theirs, test.restored)
		if got.verdict != test.want || got.alarm != test.alarm {
			t.Errorf("%s: got %d, alarm %v, want %d, %v", test.name, got.verdict, got.alarm, test.want, test.alarm)
		}
		if test.want != keepBoth {
			continue
		}
		g, err := record.DecodeGrant(got.merged)
		if err != nil || g.Number != 3 || g.Value != "c" || g.Earlier[0].Value != "b" || g.Earlier[0].Source != record.FromOffer {
			t.Errorf("%s: merged to %+v, %v", test.name, g, err)
		}
	}
}

// TestUntriedGenerationKept: an answer could not be stored, and its grant is behind another one.
// After a restore of etcd, copies with other histories keep it, because it may be WeChat's newest.
func TestUntriedGenerationKept(t *testing.T) {
	grant := func(number uint64, values ...secret.Text) *record.Grant {
		g := &record.Grant{Name: "g", Number: number}
		for i, v := range values {
			g.Replace(record.Generation{Value: v, At: time.Unix(1e9+int64(i), 0), Source: record.FromRotation})
		}
		return g
	}
	late := func(g *record.Grant) *record.Grant {
		g.Shelve(record.Generation{Value: "late", At: time.Unix(2e9, 0), Source: record.FromOffer})
		return g
	}
	for _, test := range []struct {
		name         string
		ours, theirs *record.Grant
		want         secret.Text // in force
	}{
		{"of an older grant in etcd", grant(3, "a", "b", "c"), late(grant(2, "a")), "c"},
		{"of another grant in etcd", grant(3, "a", "b", "c"), late(grant(2, "a", "d")), "c"},
		{"of another grant of the same age in etcd", grant(2, "a", "b"), late(grant(2, "a", "d")), "d"},
		{"of another copy of the same age", late(grant(2, "a", "b")), grant(2, "a", "d"), "d"},
		{"of a copy of the same age with an older value", late(grant(2, "a")), grant(2, "a", "b"), "b"},
	} {
		got := judgeGrant(test.ours.Encode(), test.theirs.Encode(), true)
		g, err := record.DecodeGrant(got.merged)
		if got.verdict != keepBoth || err != nil || g.Value != test.want {
			t.Errorf("%s: got %d, %+v, %v", test.name, got.verdict, g, err)
			continue
		}
		tried := false
		for _, x := range g.Earlier {
			tried = tried || x.Value == "late" && x.Source == record.FromOffer
		}
		if !tried || g.Number <= test.ours.Number || g.Number <= test.theirs.Number {
			t.Errorf("%s: merged to %+v", test.name, g)
		}
	}
}
