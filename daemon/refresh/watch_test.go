package refresh

import (
	"context"
	"slices"
	"testing"
	"time"

	"tokend/fetchers"
)

func TestWatchersHearOfEveryChangeInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: StableToken, Fetcher: up}, Spec{Name: "work/ww1/1/access_token", Kind: CorpToken, Fetcher: fresh(time.Hour)})})
		n, all, w := r.Watch("official", nil)
		defer w.Close()
		if list := slices.Collect(all); n != 1 || len(list) != 1 || list[0].State != Idle {
			t.Fatalf("snapshot: got %d: %+v", n, list)
		}
		r.mustGet("work/ww1/1/access_token")
		r.mustGet(app)
		expect := func(want State) {
			t.Helper()
			select {
			case <-w.Ready():
				if got, more := w.Take(); len(got) != 1 || got[0].Name != app || got[0].State != want || !more {
					t.Errorf("events: got %+v, want %s", got, want)
				}
			case <-time.After(3 * time.Hour):
				t.Errorf("no event, want %s", want)
			}
		}
		expect(Fresh)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		expect(Stale)
		expect(Expired)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("back", time.Hour), nil })
		expect(Fresh)
	})
}

func TestASlowWatcherIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for credentials, want := range map[int]int{0: backlog, 100: backlog, 1_000_000: 62_500} {
			var ws watchers
			w := ws.add("", credentials)
			if cap(w.events) > 0 {
				t.Errorf("room for %d events is taken before there is one", cap(w.events))
			}
			for range want + 1 {
				ws.tell(Listing{Name: "x"})
			}
			<-w.Ready()
			if got, more := w.Take(); len(got) != want || more {
				t.Errorf("events before the close, with %d credentials: got %d, want %d; more may come: %v", credentials, len(got), want, more)
			}
			w.Close()
		}
	})
}
