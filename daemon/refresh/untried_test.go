package refresh

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestUntriedGrantNotHeld: WeChat has refused a grant, and behind it is the grant of a late answer
// that was not tried. No hold waits for the customer then, whenever the late grant has come.
func TestUntriedGrantNotHeld(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	late := func() record.Record {
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "mine", At: time.Now(), Source: fromPut}, Number: 9}
		g.Shelve(record.Generation{Value: "late", At: time.Now(), Source: fromOffer})
		rec := g.Encode()
		rec.Revision = 1001
		return rec
	}
	reaction := fetchers.GrantRefused
	begin := func(t *testing.T, p *peers, wx *platformOf) *rig {
		wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "mine" {
				return fetchers.Token{}, refusal(61023, reaction)
			}
			return token("tok", twoHours), nil
		})
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "mine")
		r.mustGet(component)
		return r
	}
	t.Run("of a kind that WeChat does not list", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			reaction = fetchers.Reauthorize
			defer func() { reaction = fetchers.GrantRefused }()
			r := begin(t, &peers{}, newPlatform("wxa"))
			r.Follow(late())
			if got := r.mustGet(name); got != "tok" {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("not because of a ticket", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wx := newPlatform("wxa")
			wx.ticket.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return fetchers.Token{}, refusal(42007, fetchers.Reauthorize)
			})
			r := begin(t, &peers{}, wx)
			r.Follow(late())
			r.Follow(r.theirs(name, "theirs", twoHours, 7))
			_, err := r.Get(t.Context(), customer("wxa", "jsapi_ticket"))
			mustReason(t, err, credential.Reauth)
			if g, err := r.grants.get(grant); err != nil || g.Value != "mine" {
				t.Errorf("%s is in force, %v", g.Source, err)
			}
		})
	})
	t.Run("held before a restart", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, wx := &peers{}, newPlatform("wxa")
			r := begin(t, p, wx)
			_, err := r.Get(t.Context(), name)
			mustReason(t, err, credential.Reauth)
			r.stop()
			r = startPeers(t, &peers{disk: p.disk}, Config{Catalog: wx.catalog()})
			r.Follow(late()) // no client has requested the token in this run
			if got := r.mustGet(name); got != "tok" {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("comes while the list is read", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wx := newPlatform("wxa")
			var r *rig
			wx.recover = func(context.Context, secret.Text) (secret.Text, error) {
				r.Follow(late())
				return "mine", nil
			}
			r = begin(t, &peers{}, wx)
			if got := r.mustGet(name); got != "tok" {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("not stored in the place of the refused one", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &peers{}
			r := begin(t, p, newPlatform("wxa"))
			r.Follow(late())
			p.set(func() {
				p.write = func(_ int, recs []record.Record) error {
					if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Grants && r.Value != nil }) {
						return &ApartError{unreachable}
					}
					return nil
				}
			})
			if got := r.mustGet(name); got != "tok" {
				t.Errorf("got %s", got)
			}
			p.set(func() { p.write = nil })
			if _, err := r.Refresh(t.Context(), name); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if g, err := r.grants.get(grant); err != nil || g.Value != "late" {
				t.Errorf("%s is in force, %v", g.Source, err)
			}
		})
	})
	t.Run("replaced by WeChat", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wx := newPlatform("wxa")
			r := begin(t, &peers{}, wx)
			wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
				if ask.Grant == "mine" {
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				}
				tok := token("tok", twoHours)
				tok.Grant = ask.Grant + "+"
				return tok, nil
			})
			r.Follow(late())
			r.mustGet(name)
			synctest.Wait()
			g, err := r.grants.get(grant)
			if err != nil || g.Value != "late+" || g.Source != fromRotation || g.Earlier[0].Value != "late" || g.Earlier[0].Source != fromAnswer {
				t.Errorf("got %+v, %v", g, err)
			}
		})
	})
	t.Run("all are refused for a while", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			for _, lives := range []secret.Text{"mine", "late"} {
				wx := newPlatform("wxa")
				r := begin(t, &peers{}, wx)
				suspended := true
				wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					if suspended || ask.Grant != lives {
						return fetchers.Token{}, refusal(61003, fetchers.Reauthorize)
					}
					return token("tok", twoHours), nil
				})
				r.Follow(late())
				_, err := r.Get(t.Context(), name)
				mustReason(t, err, credential.Reauth)
				if g, err := r.grants.get(grant); err != nil || g.Value != "mine" {
					t.Errorf("%s is in force, %v", g.Source, err)
				}
				time.Sleep(time.Hour)
				if n := wx.token.count(); n != 2 {
					t.Errorf("%d calls in the hour", n)
				}
				suspended = false
				if _, err := r.Refresh(t.Context(), name); err != nil {
					t.Errorf("%s lives: %v", string(lives), err)
				}
				synctest.Wait()
				if g, err := r.grants.get(grant); err != nil || g.Value != lives {
					t.Errorf("%s is in force, %v", g.Source, err)
				}
				r.stop()
			}
		})
	})
}
