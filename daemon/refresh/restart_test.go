package refresh

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

func TestARestartServesWhatIsValidWithoutACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		d := newDisk()
		var all []Spec
		for i := range 100 {
			all = append(all, Spec{Name: fmt.Sprintf("work/ww1/%d/access_token", i), Policy: policy.StableToken, Fetcher: up})
		}
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		want := map[string]string{}
		for _, s := range all {
			want[s.Name] = r.mustGet(s.Name)
		}
		// The first engine is not stopped: a kill is no stop.
		calls := up.count()
		time.Sleep(time.Hour)
		r2 := start(t, Config{Store: d, Catalog: specs(all...)})
		for i := range 1000 {
			name := all[i%len(all)].Name
			if got := r2.mustGet(name); got != want[name] {
				t.Fatalf("%s: got %s, want %s", name, got, want[name])
			}
		}
		if n := up.count() - calls; n != 0 {
			t.Errorf("calls after the restart: got %d, want 0", n)
		}
	})
}

func TestExpiredOverARestartIsFetchedAtAPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		d := newDisk()
		var all []Spec
		for i := range 200 {
			all = append(all, Spec{Name: fmt.Sprintf("work/ww1/%d/access_token", i), Policy: policy.CorpToken, Fetcher: up})
		}
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		for _, s := range all {
			r.mustGet(s.Name)
		}
		r.stop()
		time.Sleep(3 * 365 * 24 * time.Hour) // years later
		up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			time.Sleep(100 * time.Millisecond)
			return token(fmt.Sprintf("tok-%d", n), 2*time.Hour), nil
		})
		up.most = 0
		r = start(t, Config{Store: d, Catalog: specs(all...)})
		if _, ok := r.Cached([]byte(all[0].Name)); ok {
			t.Error("an expired value is served")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := up.count(); n != 400 {
			t.Errorf("calls: got %d, want 400", n)
		}
		if up.most > 8 {
			t.Errorf("calls at once: got %d, want 8 at most", up.most)
		}
		h, _ := r.History(all[0].Name)
		if len(h) != 1 || h[0].Cause != credential.CauseStart {
			t.Errorf("history: got %+v, want one refresh caused by the start", h)
		}
	})
}
