package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestCrossing is about answers that cross: WeChat may have answered the call first whose answer
// arrives last. A token that may not be its newest is fetched again.
func TestCrossing(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	lost := &fetchers.TransportError{Endpoint: "/exchange", Err: errors.New("reset"), Sent: true}
	type world struct {
		wx             *platformOf
		disk           *disk
		exchange, slow time.Duration // how long calls take
		answer         string        // the grant that the exchange brings; "" for the one before
		err            error         // of the first exchange; later ones find the code used up
		fails          int           // the number of the refresh that fails
		away           atomic.Bool   // every refresh fails
	}
	begin := func(t *testing.T, w *world, p *peers) *rig {
		w.wx, w.disk = newPlatform("wxa"), newDisk()
		var exchanges atomic.Int32
		w.wx.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
			time.Sleep(w.exchange)
			if exchanges.Add(1) > 1 {
				return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
			}
			first := token("first", twoHours)
			return fetchers.Authorization{Child: "wxa", Grant: secret.Text(cmp.Or(w.answer, "grant")), Token: &first}, w.err
		}
		w.wx.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n == w.fails || w.away.Load() {
				return fetchers.Token{}, away()
			}
			time.Sleep(w.slow)
			return token(fmt.Sprint("refreshed-", n), twoHours), nil
		})
		cfg := Config{Store: w.disk, Catalog: w.wx.catalog()}
		var r *rig
		if p == nil {
			r = start(t, cfg)
		} else {
			r = startPeers(t, p, cfg)
		}
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "grant")
		r.mustGet(component)
		return r
	}
	accept := func(t *testing.T, r *rig, life time.Duration) {
		if err := r.AcceptFrom(t.Context(), platform, "wxa", "code", time.Now(), time.Now().Add(life)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	served := func(t *testing.T, r *rig, want string) {
		t.Helper()
		time.Sleep(2 * time.Minute)
		if got := r.mustGet(name); got != want {
			t.Errorf("served: %s, want %s", got, want)
		}
	}
	t.Run("refresh arrives last", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := &world{exchange: time.Second, slow: 5 * time.Second}
			r := begin(t, w, nil)
			go func() { _, _ = r.get(name) }()
			synctest.Wait() // the call is under way
			accept(t, r, time.Hour)
			served(t, r, "refreshed-2")
		})
	})
	t.Run("code lost before the refresh arrives", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := &world{exchange: time.Second, slow: 5 * time.Second, err: lost}
			r := begin(t, w, nil)
			go func() { _, _ = r.get(name) }()
			synctest.Wait() // the call is under way
			accept(t, r, time.Hour)
			time.Sleep(1500 * time.Millisecond)
			served(t, r, "refreshed-2")
		})
	})
	t.Run("fails at first", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := &world{exchange: 5 * time.Second, slow: time.Second, fails: 2}
			r := begin(t, w, nil)
			accept(t, r, time.Hour)
			r.mustGet(name)
			served(t, r, "refreshed-3")
		})
	})
	t.Run("stopped before the next refresh", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := &world{exchange: 5 * time.Second, slow: time.Second}
			r := begin(t, w, nil)
			accept(t, r, time.Hour)
			r.mustGet(name)
			w.away.Store(true)
			time.Sleep(10 * time.Second)
			if got := r.mustGet(name); got != "first" {
				t.Errorf("served: %s", got)
			}
			r.stop()
			w.away.Store(false)
			r = start(t, Config{Store: w.disk, Catalog: w.wx.catalog()})
			time.Sleep(overlap)
			if got := r.mustGet(name); got == "first" {
				t.Errorf("served: %s", got)
			}
		})
	})
	t.Run("refresh of another host", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w, p := &world{exchange: time.Second, slow: 5 * time.Second}, &peers{}
			r := begin(t, w, p)
			once := true
			p.set(func() {
				p.land = func(_ int, recs []record.Record) error {
					if !once || recs[0].Key != name {
						return nil
					}
					once = false
					first := r.form(name, "", &cached{text: "first", issued: r.clock.Now().Add(-6 * time.Second), seen: r.clock.Now(),
						end: r.clock.Now().Add(twoHours), life: twoHours}).Encode()
					first.Revision = 7
					return newerOf(first)
				}
			})
			_, err := r.get(name)
			synctest.Wait() // the claim is given back after the answer
			if given := p.given(); err != nil || len(given) != 1 || !given[0] {
				t.Errorf("given back: %v, %v; want doubt", given, err)
			}
		})
	})
	t.Run("value of another host", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w, p := &world{exchange: time.Second, err: lost}, &peers{}
			r := begin(t, w, p)
			r.mustGet(name)
			theirs := r.theirs(name, "theirs", twoHours, 7)
			p.set(func() {
				p.claim = func(_ int, want Want) error {
					if want.Name == name {
						return &TakenError{"there"}
					}
					return nil
				}
			})
			accept(t, r, 1500*time.Millisecond)
			time.Sleep(3 * time.Second)
			r.Follow(theirs)
			p.set(func() { p.claim = nil })
			served(t, r, "refreshed-2")
		})
	})
	t.Run("code overtaken", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w, p := &world{exchange: time.Second}, &peers{}
			r := begin(t, w, p)
			r.mustGet(name)
			p.set(func() {
				p.land = func(_ int, recs []record.Record) error {
					if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Exchanged }) {
						return &NewerError{Err: ErrOvertaken}
					}
					return nil
				}
			})
			if _, err := r.Exchange(t.Context(), platform, "code"); err != nil {
				t.Fatal(err)
			}
			served(t, r, "refreshed-2")
		})
	})
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("token after the code of an earlier event, restart ", restart), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := &world{exchange: 2 * time.Second, answer: "answered"}
				r := begin(t, w, nil)
				before := r.mustGet(name)
				accept(t, r, time.Hour)
				time.Sleep(time.Second)
				w.away.Store(true)
				r.mustPut(grant, "later")
				time.Sleep(10 * time.Second)
				if got := r.mustGet(name); got != before {
					t.Errorf("served: %s", got)
				}
				if restart {
					r.stop()
					r = start(t, Config{Store: w.disk, Catalog: w.wx.catalog()})
				}
				time.Sleep(overlap)
				if got, err := r.get(name); got == before {
					t.Errorf("served: %s, %v", got, err)
				}
			})
		})
	}
	t.Run("code of an earlier event", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := &world{exchange: 2 * time.Second, answer: "answered"}
			r := begin(t, w, nil)
			time.Sleep(time.Minute)
			accept(t, r, time.Hour)
			time.Sleep(time.Second)
			r.mustPut(grant, "later")
			time.Sleep(2 * time.Second)
			w.wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
				if ask.Grant == "later" {
					return fetchers.Token{}, refusal(40084, fetchers.Reauthorize)
				}
				return token("by-"+string(ask.Grant), twoHours), nil
			})
			if v, err := r.Refresh(t.Context(), name); err != nil || v.Text != "by-answered" {
				t.Errorf("got %s, %v", string(v.Text), err)
			}
		})
	})
	for _, earlier := range []bool{false, true} {
		t.Run(fmt.Sprint("code stored late, called before another host ", earlier), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, p := &world{exchange: 2 * time.Second}, &peers{}
				r := begin(t, w, p)
				r.mustGet(name)
				p.set(func() {
					p.land = func(_ int, recs []record.Record) error {
						if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Exchanged }) {
							return ErrUnconfirmed
						}
						return nil
					}
				})
				theirs := r.theirs(name, "theirs", twoHours, 7)
				time.Sleep(time.Second)
				accept(t, r, time.Hour)
				time.Sleep(time.Second)
				if earlier {
					theirs = r.theirs(name, "theirs", twoHours, 7)
				}
				time.Sleep(2 * time.Second)
				r.Follow(theirs)
				served(t, r, "refreshed-2")
			})
		})
	}
	t.Run("code used up by another host", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w, p := &world{err: refusal(61009, fetchers.CodeRefused)}, &peers{}
			r := begin(t, w, p)
			r.mustGet(name)
			until := time.Now().Add(20 * time.Second)
			p.set(func() {
				p.claim = func(_ int, want Want) error {
					if want.Table == record.Codes && time.Now().Before(until) {
						return &TakenError{"there"}
					}
					return nil
				}
			})
			accept(t, r, time.Hour)
			served(t, r, "refreshed-2")
		})
	})
	t.Run("code used up by a run before", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wx, d := newPlatform("wxa"), newDisk()
			r := start(t, Config{Store: d, Catalog: wx.catalog()})
			r.mustPush("ticket", time.Now())
			r.mustPut(grant, "grant")
			r.mustGet(component)
			r.mustGet(name)
			wx.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
				time.Sleep(time.Second)
				return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
			}
			left := newDisk()
			r.SetCatalog(wx.catalog())
			accept(t, r, time.Hour)
			for _, table := range []record.Table{record.Credentials, record.Grants, record.Codes, record.Keys} {
				for rec, err := range d.All(table) {
					if err == nil {
						rec.Value = append([]byte(nil), rec.Value...)
						_ = left.Put(t.Context(), rec)
					}
				}
			}
			r.stop()
			r = start(t, Config{Store: left, Catalog: wx.catalog()})
			served(t, r, "tok-2")
		})
	})
}

// TestCrossingRepeated: WeCom repeats a token, so it does not matter which of two calls that cross
// was answered last. The token that came with the code is served for its whole life.
func TestCrossingRepeated(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		wx := newPlatform("wxa")
		all := wx.catalog()
		spec := all[name]
		spec.Policy = policy.AuthCorpToken
		all[name] = spec
		r := start(t, Config{Catalog: all})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "grant")
		r.mustGet(component)
		wx.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(5 * time.Second)
			return fetchers.Token{}, away()
		})
		go func() { _, _ = r.get(name) }()
		synctest.Wait() // the call is under way
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got, err := r.get(name); got != "first-wxa" || wx.token.count() != 1 {
			t.Errorf("served: %s, %v, after %d calls", got, err, wx.token.count())
		}
	})
}

// TestOvertakenRejection: a client that has rejected a value does not get it again because another
// host has called since.
func TestOvertakenRejection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
		r.mustGet(app)
		p.set(func() {
			p.land = func(n int, _ []record.Record) error {
				if n == 2 {
					return &NewerError{Err: ErrOvertaken}
				}
				return nil
			}
		})
		if v, err := r.Reject(t.Context(), app, "tok-1"); err != nil || v.Text == "tok-1" {
			t.Errorf("got %s, %v", string(v.Text), err)
		}
	})
}

// TestRefusalFollowed: WeChat refuses a grant, and before that is stored, another host stores the
// grant of a new authorization. The customer is not held.
func TestRefusalFollowed(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		wx.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Grant == "mine" {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			return token("by-"+string(ask.Grant), twoHours), nil
		})
		r := sharedPlatform(t, p, wx)
		r.mustPut(grant, "mine")
		p.set(func() {
			p.land = func(_ int, recs []record.Record) error {
				if recs[0].Table != record.Holds {
					return nil
				}
				theirs := record.Grant{Name: grant, Generation: record.Generation{Value: "theirs", At: time.Now(), Source: fromPut}, Number: 9}.Encode()
				theirs.Revision = 1000
				return newerOf(theirs)
			}
		})
		if got := r.mustGet(name); got != "by-theirs" {
			t.Errorf("got %s", got)
		}
	})
}
