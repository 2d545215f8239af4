package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestGrantStoredNotShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		n := 0
		var used []string
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			n++
			used = append(used, string(ask.Grant))
			tok := token(fmt.Sprintf("tok-%d", n), 2*time.Hour)
			switch n {
			case 2:
				tok.Grant = "" // an empty replacement
			default:
				tok.Grant = secret.Text(fmt.Sprintf("refresh-%d", n))
			}
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
		r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
		for range 4 {
			r.mustGet(customer("wxa", "access_token"))
			if _, err := r.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
				t.Fatal(err)
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
		}
		if got, want := fmt.Sprint(used), "[refresh-0 refresh-1 refresh-1 refresh-3 refresh-4]"; got != want {
			t.Errorf("grants used: got %s, want %s", got, want)
		}
		_, err = r.get(customer("wxa", "refresh_token"))
		mustReason(t, err, credential.Denied)
		_, err = r.Reject(t.Context(), customer("wxa", "refresh_token"), "refresh-5")
		mustReason(t, err, credential.Denied)
		_, err = r.get(customer("wxb", "access_token"))
		mustReason(t, err, credential.Reauth)
		if s, err := r.Status(customer("wxa", "refresh_token")); err != nil || s.State != credential.Fresh || s.Generations < 3 || s.Source != fromRotation {
			t.Errorf("status: got %+v, %v", s, err)
		}
	})
}

func TestRefusedGrantRereadOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		listed secret.Text
		err    error
		want   credential.Reason // 0: recovered
		lists  int
	}{
		{"the list has another", "good", nil, 0, 1},
		{"the list has the same", "bad", nil, credential.Reauth, 1},
		{"the list does not have the customer", "", nil, credential.Reauth, 1},
		{"the list cannot be had", "", away(), credential.Unreachable, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				lists := 0
				p.recover = func(context.Context, secret.Text) (secret.Text, error) { lists++; return tc.listed, tc.err }
				p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					if ask.Grant == "good" {
						return token("tok", time.Hour), nil
					}
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				})
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "bad")
				for range 10 {
					_, err := r.get(customer("wxa", "access_token"))
					if reason(err) != tc.want {
						t.Fatalf("got %v, want reason %s", err, tc.want)
					}
				}
				if lists != tc.lists {
					t.Errorf("list calls: got %d, want %d", lists, tc.lists)
				}
				if tc.want != credential.Reauth {
					return
				}
				// Remembered over a restart, and ended by another grant.
				r.stop()
				r = start(t, Config{Store: d, Catalog: p.catalog()})
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, credential.Reauth)
				if lists != 1 || p.token.count() != 1 {
					t.Errorf("after a restart: %d lists, %d calls", lists, p.token.count())
				}
				r.mustPut(customer("wxa", "refresh_token"), "good")
				if got := r.mustGet(customer("wxa", "access_token")); got != "tok" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestGrantReplacedDuringCall holds that the refusal of a grant that was replaced during the call
// holds nothing up, in this run or the next.
func TestGrantReplacedDuringCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform("wxa"), newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		name := customer("wxa", "access_token")
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "old")
		r.mustGet(name)
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "old" {
				r.mustPut(customer("wxa", "refresh_token"), "new")
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			return token("by-new", 2*time.Hour), nil
		})
		if v, err := r.Refresh(t.Context(), name); err != nil || v.Text != "by-new" {
			t.Errorf("got %q, %v", string(v.Text), err)
		}
		if d.has(record.Holds, name) {
			t.Error("a hold is on disk")
		}
	})
}

func TestRotatedGrantOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		current := "refresh-0"
		p.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if string(ask.Grant) != current {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			current = fmt.Sprintf("refresh-%d", n)
			tok := token(fmt.Sprintf("tok-%d", n), time.Hour)
			tok.Grant = secret.Text(current)
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
		d.fail(errors.New("no space left"))
		r.mustGet(customer("wxa", "access_token"))
		if _, err := r.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
			t.Errorf("with the grant that the disk refused: %v", err)
		}
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		synctest.Wait()
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		if _, err := r2.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
			t.Errorf("after the disk came back and a kill: %v", err)
		}
	})
}

func TestChangedGrantReplacesToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
			return fetchers.Authorization{Child: "wxa", Grant: "grant-of-" + code}, nil
		}
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			return token("by-"+string(ask.Grant), 2*time.Hour), nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, code := range []secret.Text{"one", "two"} {
			if err := r.Accept(t.Context(), platform, code, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if got, want := r.mustGet(customer("wxa", "access_token")), "by-grant-of-"+string(code); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestSeedsOverwriteNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		grant := customer("wxa", "refresh_token")
		sow := func(value secret.Text) {
			t.Helper()
			if err := r.ApplySeeds(t.Context(), []Seed{{grant, value}}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(value secret.Text) {
			t.Helper()
			if g, err := r.grants.get(grant); err != nil || g.Value != value {
				t.Errorf("grant: got %q, %v; want %q", string(g.Value), err, string(value))
			}
		}
		sow("one")
		want("one")
		sow("two") // somebody corrected the configuration
		want("two")
		r.mustPut(grant, "learned")
		sow("two")
		want("learned")
		sow("three")
		want("learned")
	})
}

func TestRefusedSeedNotRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61023, fetchers.Reauthorize)
		})
		d := newDisk()
		for range 10 {
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			if err := r.ApplySeeds(t.Context(), []Seed{{customer("wxa", "refresh_token"), "seeded"}}); err != nil {
				t.Fatal(err)
			}
			r.mustPush("ticket", time.Now())
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, credential.Reauth)
			r.stop()
		}
		if n := p.token.count(); n != 1 {
			t.Errorf("calls over ten starts: got %d, want 1", n)
		}
	})
}

// TestKillLosesNoGrant plays a WeChat that replaces the refresh token at every call and
// lets the old one live five minutes, and kills the daemon at each of the moments at which
// something is written.
func TestKillLosesNoGrant(t *testing.T) {
	for at := range 40 {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			generation, rotated := 0, time.Time{}
			d := &mortal{buried: make(chan struct{})}
			p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
				select {
				case <-d.buried:
					return fetchers.Token{}, away() // the test is over; only the dead still call
				default:
				}
				var n int
				if _, err := fmt.Sscanf(string(ask.Grant), "refresh-%d", &n); err != nil {
					t.Errorf("WeChat was sent %q", string(ask.Grant))
				}
				if n != generation && (n != generation-1 || time.Since(rotated) > 5*time.Minute) {
					t.Errorf("WeChat regards %d as current and was sent %d: the grant is lost", generation, n)
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				}
				generation, rotated = generation+1, time.Now()
				tok := token(fmt.Sprintf("tok-%d", generation), time.Hour)
				tok.Grant = secret.Text(fmt.Sprintf("refresh-%d", generation))
				return tok, nil
			})
			d.left.Store(int32(at + 3)) // three writes make the platform and its customer
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			t.Cleanup(func() { close(d.buried) })
			r.mustPush("ticket", time.Now())
			r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, _ = r.Get(ctx, customer("wxa", "access_token"))
				_, _ = r.Refresh(ctx, customer("wxa", "access_token"))
				cancel()
				if d.dead.Load() && r.cfg.Store != &d.disk {
					r = start(t, Config{Store: &d.disk, Catalog: p.catalog()})
				}
				time.Sleep(time.Minute)
			}
			synctest.Wait() // for a call that is still in flight
			if generation < 5 {
				t.Errorf("killed at write %d: WeChat has replaced the grant %d times only", at, generation)
			}
		})
	}
}

// mortal is a disk whose daemon is killed at a Put: nothing of it is written, and a caller that
// called it goes no further until the test is over.
type mortal struct {
	disk
	left   atomic.Int32 // writes until then
	dead   atomic.Bool
	buried chan struct{}
}

func (m *mortal) Put(ctx context.Context, recs ...record.Record) error {
	if m.left.Add(-1) < 0 {
		m.dead.Store(true)
		<-m.buried
		return errors.New("killed")
	}
	return m.disk.Put(ctx, recs...)
}
