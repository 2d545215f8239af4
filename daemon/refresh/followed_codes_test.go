package refresh

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
)

// TestSpentForgotten: what another host has exchanged is forgotten when its record is deleted.
func TestSpentForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := sharedPlatform(t, &peers{}, newPlatform("wxa"))
		for i := range 3 {
			rec := r.spentRecord()
			rec.Key += fmt.Sprint(i)
			r.Follow(rec)
			rec.Value, rec.Revision = nil, 9
			r.Follow(record.Record{Table: record.Codes, Key: rec.Key, Revision: 9}, rec)
		}
		if n, m := len(r.codes.spent), len(r.codes.known); n != 0 || m != 0 {
			t.Errorf("%d and %d are remembered", n, m)
		}
	})
}

// TestExchangeOfFollowedCode: a client submits a code whose event another host has just got. It
// waits for what comes of it.
func TestExchangeOfFollowedCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := sharedPlatform(t, &peers{place: 1, of: 2}, newPlatform("wxa"))
		r.Follow(r.codeRecord(time.Hour))
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			r.Follow(r.spentRecord())
		}()
		if name, err := r.exchangeIn(time.Minute); err != nil || name != platform+"/wxa" {
			t.Errorf("got %s, %v", name, err)
		}
	})
}

// TestRetiredOutsideLanding: the landing of a grant has no records of codes that were exchanged
// long ago, possibly hundreds. They are deleted afterwards.
func TestRetiredOutsideLanding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &peers{}
		r := sharedPlatform(t, p, newPlatform("wxa"))
		for i := range 150 {
			rec := r.spentRecord()
			rec.Key += fmt.Sprint(i)
			r.Follow(rec)
			if err := r.cfg.Store.Put(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(70 * time.Minute)
		r.mustPush("ticket2", time.Now())
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.lands[len(p.lands)-1]); n > 8 {
			t.Errorf("the landing has %d records", n)
		}
		left := 0
		for _, err := range r.cfg.Store.All(record.Exchanged) {
			if left++; err != nil {
				t.Error(err)
			}
		}
		if left != 1 {
			t.Errorf("%d records of exchanged codes are left, want that of the last", left)
		}
	})
}
