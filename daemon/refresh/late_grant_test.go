package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestLateGrantTried: the grant of an answer that came late is stored behind the grant that WeChat
// has refused. It is tried, although the refusal held the credential until another authorization.
func TestLateGrantTried(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "mine")
		r.mustGet(component)
		wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "mine" {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			return token("tok", twoHours), nil
		})
		_, err := r.Get(t.Context(), name)
		mustReason(t, err, credential.Reauth)
		time.Sleep(time.Minute)
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "mine", At: time.Now(), Source: fromPut}, Number: 9}
		g.Shelve(record.Generation{Value: "late", At: time.Now(), Source: fromOffer})
		rec := g.Encode()
		rec.Revision = 1001
		r.Follow(rec)
		if got := r.mustGet(name); got != "tok" {
			t.Errorf("got %s", got)
		}
	})
}

// TestLateGrantNoAuthorization: a grant that came late is stored behind the one of a newer
// authorization. A withdrawal of between the two arrives later still, and changes nothing.
func TestLateGrantNoAuthorization(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		r := startPeers(t, &peers{}, Config{Catalog: newPlatform("wxa").catalog()})
		late, withdrawn := time.Now(), time.Now().Add(time.Second)
		time.Sleep(time.Minute)
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "new", At: time.Now(), Source: fromEvent}, Number: 9}
		time.Sleep(time.Minute)
		g.Replace(record.Generation{Value: "rotated", At: time.Now(), Source: fromRotation})
		g.Shelve(record.Generation{Value: "late", At: late, Source: fromOffer})
		rec := g.Encode()
		rec.Revision = 1001
		r.Follow(rec)
		if err := r.Revoke(t.Context(), grant, withdrawn); err != nil {
			t.Fatal(err)
		}
		stored, err := r.cfg.Store.Get(record.Grants, grant)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := record.DecodeGrant(stored); err != nil || !g.Live() {
			t.Errorf("the new authorization was withdrawn at %v, %v", g.Revoked, err)
		}
	})
}

// TestTriedGrantNoAuthorization: the grant of a later authorization came late, and is tried when
// WeChat refuses the one before. The withdrawal of that one arrives later still, and changes
// nothing, also after a rotation. A withdrawal of the later one counts.
func TestTriedGrantNoAuthorization(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		wx := newPlatform("wxa")
		r := startPeers(t, &peers{}, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "mine")
		r.mustGet(component)
		next := token("tok", twoHours)
		wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "mine" {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			return next, nil
		})
		withdrawn := time.Now().Add(time.Minute)
		time.Sleep(2 * time.Minute)
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "mine", At: withdrawn.Add(-time.Minute), Source: fromPut}, Number: 9}
		g.Merge(&record.Grant{Generation: record.Generation{Value: "late", At: time.Now(), Source: fromEvent}})
		rec := g.Encode()
		rec.Revision = 1001
		r.Follow(rec)
		if got := r.mustGet(name); got != "tok" {
			t.Errorf("got %s", got)
		}
		synctest.Wait() // the client is answered before the grant is put in force
		stored := func() record.Grant {
			g, err := r.grants.get(grant)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		revoke := func(at time.Time) {
			t.Helper()
			if err := r.Revoke(t.Context(), grant, at); err != nil {
				t.Fatal(err)
			}
		}
		if g := stored(); g.Value != "late" {
			t.Fatalf("%s is in force", g.Value)
		}
		if revoke(withdrawn); !stored().Revoked.IsZero() {
			t.Error("the later authorization was withdrawn")
		}
		next = token("tok2", twoHours)
		next.Grant = "rotated"
		time.Sleep(twoHours)
		r.mustGet(name)
		if revoke(withdrawn.Add(time.Second)); stored().Value != "rotated" || !stored().Revoked.IsZero() {
			t.Errorf("withdrawn after a rotation: %+v", stored().Source)
		}
		if revoke(time.Now()); stored().Revoked.IsZero() {
			t.Error("a withdrawal of the later authorization has no effect")
		}
	})
}
