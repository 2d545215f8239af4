package refresh

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
)

// TestDurations holds that refreshes are counted by kind, in the bucket of their duration.
func TestDurations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const name = "official_account/wx1/access_token"
		s := tokenSpec(name)
		r := start(t, Config{Catalog: specs(s)})
		if got := r.Durations(); len(got) != 0 {
			t.Errorf("before: got %+v", got)
		}
		r.mustGet(name)
		synctest.Wait() // a flight is counted after it has released its waiters
		got := r.Durations()
		if len(got) != 1 || got[0].Kind != s.Policy.Word || got[0].N != 1 || got[0].Buckets[0] != 1 {
			t.Errorf("got %+v", got)
		}
	})
	var h credential.Durations
	for _, d := range []time.Duration{0, 10 * time.Millisecond, 11 * time.Millisecond, 20 * time.Second} {
		h.Add(d)
	}
	if h.N != 4 || h.Buckets[0] != 2 || h.Buckets[1] != 1 || h.Took < 20*time.Second {
		t.Errorf("got %+v", h)
	}
}
