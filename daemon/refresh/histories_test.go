package refresh

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// landings counts the writes of values, and of histories.
type landings struct {
	*disk
	values, histories, both int
}

func (l *landings) Put(ctx context.Context, recs ...record.Record) error {
	value, history := 0, 0
	for _, r := range recs {
		switch r.Table {
		case record.Credentials:
			value = 1
		case record.Histories:
			history = 1
		}
	}
	l.values, l.histories, l.both = l.values+value, l.histories+history, l.both+value*history
	return l.disk.Put(ctx, recs...)
}

func tokenSpec(name string) Spec {
	return Spec{Name: name, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}
}

func (r *rig) mustHistory(name string) []credential.Attempt {
	r.t.Helper()
	h, err := r.History(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// TestHistorySurvives holds that the last 20 attempts survive a stop and a kill, newest first, and
// that no landing writes more or waits for it.
func TestHistorySurvives(t *testing.T) {
	for _, way := range []string{"stop", "kill"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const name = "official_account/wx1/access_token"
				d := &landings{disk: newDisk()}
				r := start(t, Config{Store: d, Catalog: specs(tokenSpec(name))})
				for range 30 {
					r.mustGet(name)
					time.Sleep(2*time.Hour + time.Second)
					synctest.Wait()
				}
				time.Sleep(2 * historyEvery)
				before := r.mustHistory(name)
				if len(before) != record.MaxAttempts || d.both != 0 || d.histories > d.values {
					t.Errorf("%d attempts, %d writes of values, %d of histories, %d of both", len(before), d.values, d.histories, d.both)
				}
				if way == "stop" {
					r.stop()
				}
				again := start(t, Config{Store: d, Catalog: specs(tokenSpec(name))})
				after := again.mustHistory(name)
				if fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("after a %s:\n got %v\nwant %v", way, after, before)
				}
				if _, err := again.Refresh(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				h := again.mustHistory(name)
				if len(h) != record.MaxAttempts || h[0].Cause != credential.CauseRefresh || h[1] != before[0] {
					t.Errorf("after a refresh: %v", h)
				}
			})
		})
	}
}

// TestHistoryOfFailures holds that errcodes and request ids survive too.
func TestHistoryOfFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const name = "official_account/wx1/access_token"
		d := newDisk()
		s := tokenSpec(name)
		s.Fetcher.(*upstream).answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		})
		r := start(t, Config{Store: d, Catalog: specs(s)})
		if _, err := r.get(name); err == nil {
			t.Fatal("no error")
		}
		want := r.mustHistory(name)
		r.stop()
		again := start(t, Config{Store: d, Catalog: specs(s)})
		if got := again.mustHistory(name); len(got) != 1 || got[0] != want[0] || got[0].ErrCode != 40125 {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestHistoryDeleted holds that the history of a removed account is deleted, and that one the disk
// refuses is written later.
func TestHistoryDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const name, other = "official_account/wx1/access_token", "official_account/wx2/access_token"
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(tokenSpec(name), tokenSpec(other))})
		r.mustGet(name)
		r.mustGet(other)
		d.fail(errors.New("disk full"))
		time.Sleep(2 * historyEvery)
		if d.has(record.Histories, name) {
			t.Fatal("written to a disk that refuses")
		}
		d.fail(nil)
		time.Sleep(2 * historyEvery)
		if !d.has(record.Histories, name) || !d.has(record.Histories, other) {
			t.Error("not written when the disk takes it")
		}
		r.SetCatalog(specs(tokenSpec(other)))
		if d.has(record.Histories, name) || !d.has(record.Histories, other) {
			t.Error("the history of a removed account is there, or the other's is not")
		}
		if _, err := r.History(name); err == nil {
			t.Error("a removed account has a history")
		}
	})
}

// TestHistoryDeletedWithValue holds that no history is left of a customer's credential whose record
// is deleted, or of an account that is removed while tokend is stopped, if tokend is killed.
func TestHistoryDeletedWithValue(t *testing.T) {
	token := customer("wxa", "access_token")
	begin := func(t *testing.T) (*disk, *rig) {
		p, d := newPlatform("wxa"), newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh-wxa")
		r.mustGet(token)
		time.Sleep(2 * historyEvery)
		if !d.has(record.Histories, token) {
			t.Fatal("no history")
		}
		return d, r
	}
	check := func(t *testing.T, d *disk) {
		synctest.Wait()
		if d.has(record.Credentials, token) {
			t.Error("there is a value")
		}
		if d.has(record.Histories, token) {
			t.Error("there is a history")
		}
	}
	t.Run("lapsed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			d, _ := begin(t)
			for range 24 * 60 * 60 {
				if time.Sleep(time.Second); !d.has(record.Credentials, token) {
					break
				}
			}
			check(t, d)
		})
	})
	t.Run("revoked", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			d, r := begin(t)
			if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
				t.Fatal(err)
			}
			check(t, d)
		})
	})
	t.Run("removed while stopped", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			d, r := begin(t)
			r.stop()
			start(t, Config{Store: d, Catalog: specs()})
			check(t, d)
		})
	})
}

// TestHistoryBesideSave holds that an attempt that ends while histories are being written is
// neither lost nor written twice.
func TestHistoryBesideSave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const name = "official_account/wx1/access_token"
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(tokenSpec(name))})
		r.mustGet(name)
		unlock, err := r.locks.lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(historyEvery + time.Second) // the save waits for the name
		en := r.index.get(name)
		en.mu.Lock()
		r.applyLocked(en, flightFailed{attempt: credential.Attempt{At: time.Now().UTC(), Outcome: "unreachable"}}, r.Now())
		en.mu.Unlock()
		unlock()
		time.Sleep(2 * historyEvery)
		want := r.mustHistory(name)
		r.stop()
		again := start(t, Config{Store: d, Catalog: specs(tokenSpec(name))})
		if got := again.mustHistory(name); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}
