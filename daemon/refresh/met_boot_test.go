package refresh

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
)

// TestMetBootRedated: a value of an earlier boot, which the peers know, is written by the clock of
// this boot. The next run may have to do without the peers. A value of a boot that they do not know
// yet is kept as it is, to be dated by them later.
func TestMetBootRedated(t *testing.T) {
	for name, met := range map[string]bool{"met": true, "unmet": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { testMetBootRedated(t, met) })
		})
	}
}

func testMetBootRedated(t *testing.T, met bool) {
	const before = "boot@here before"
	p := &peers{disk: newDisk(), offsets: map[string][2]time.Duration{}}
	wantBoot, wantEnd := before, 2*time.Hour-100*time.Second
	if met {
		p.offsets[before] = [2]time.Duration{98 * time.Second, 103 * time.Second}
		wantBoot, wantEnd = "boot@here", 2*time.Hour-2*time.Second
	}
	at := func(d time.Duration) record.Moment {
		return record.Moment{Wall: time.Now().Add(d), Since: time.Hour - 100*time.Second + d}
	}
	rec := record.Credential{
		Name: app, Value: "kept", Boot: before, Issued: at(0), Seen: at(0), End: at(time.Hour), Life: time.Hour, By: "there", Call: "c",
	}.Encode()
	rec.Revision = 5
	if err := p.disk.Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	r := startPeers(t, p, Config{Catalog: rotatingApp(fresh(twoHours))})
	r.mustGet(app)
	synctest.Wait()
	stored, _ := p.disk.Get(record.Credentials, app)
	c, err := record.DecodeCredential(stored)
	if err != nil || c.Boot != wantBoot || c.Walled || c.Value != "kept" || c.By != "there" || stored.Revision != 5 {
		t.Errorf("got %+v, revision %d, %v", c, stored.Revision, err)
	}
	if c.End.Since != wantEnd {
		t.Errorf("ends at %v, want %v", c.End.Since, wantEnd)
	}
}
