package refresh

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
)

// TestDoubtOutlastsValue: a value that another host has fetched without a claim does not end a
// doubt. The call is made all the same, once.
func TestDoubtOutlastsValue(t *testing.T) {
	for name, ends := range map[string]bool{"the doubt stays": false, "the doubt ends": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				up := fresh(twoHours)
				p := &peers{place: 1, of: 2}
				r := startPeers(t, p, Config{Catalog: repeatingApp(up)})
				r.mustGet(app)
				r.Follow(claimOf(app, record.Doubtful, 1))
				r.Follow(r.theirs(app, "theirs", twoHours, 10))
				if ends {
					r.Follow(record.Record{Table: record.Claims, Key: app, Revision: 12})
				}
				want := 2
				if ends {
					want = 1
				}
				for i := 0; i < 30 && up.count() < 2; i++ {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if up.count() != want {
					t.Errorf("%d calls, want %d", up.count(), want)
				}
				r.Follow(record.Record{Table: record.Claims, Key: app, Revision: 13})
				time.Sleep(time.Minute)
				if up.count() != want {
					t.Errorf("%d calls a minute later, want %d", up.count(), want)
				}
			})
		})
	}
}
