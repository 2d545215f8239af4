package refresh

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestTicketsAtWrongClocks: the wall clock of a host with peers is wrong. Of the tickets that the
// hosts get, the newest stays in force. One from far in the future locks out no later one.
func TestTicketsAtWrongClocks(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, -11 * time.Minute, 0, 2 * time.Hour} {
		for _, tc := range []struct {
			name   string
			theirs int // seconds from now of a ticket that another host got; zero for none
			pushes []int
			want   string
		}{
			{"older", -10, []int{-100}, "theirs"},
			{"newer", -100, []int{-10}, "push-0"},
			{"out of order", -200, []int{-10, -100}, "push-0"},
			{"later pushes", -200, []int{-100, 600, 1200}, "push-2"},
			{"replay of hours ago", -10, []int{-30000}, "theirs"},
			{"from the future", 0, []int{30 * 86400, 5}, "push-1"},
			{"theirs from the future", 30 * 86400, []int{5}, "push-0"},
		} {
			if ahead < 0 && tc.name == "replay of hours ago" {
				continue // see outranks
			}
			t.Run(fmt.Sprint(tc.name, ", clock ahead by ", ahead), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := newPlatform()
					now := time.Now()
					at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
					r := startPeers(t, &peers{}, Config{Catalog: p.catalog(), Wall: func() time.Time { return time.Now().Add(ahead) }})
					if tc.theirs != 0 {
						here := r.clock.Now()
						c := r.form(verify, "", &cached{
							text: "theirs", issued: here, seen: here, end: here.Add(12 * time.Hour), life: 12 * time.Hour,
							pushed: &pushed{stamp: at(tc.theirs)},
						})
						c.By = "there"
						rec := c.Encode()
						rec.Revision = 7
						r.Follow(rec)
					}
					for i, seconds := range tc.pushes {
						if wait := time.Until(at(seconds)); wait > 0 && wait < time.Hour {
							time.Sleep(wait)
						}
						r.mustPush(fmt.Sprint("push-", i), at(seconds))
					}
					v, err := r.Get(t.Context(), verify)
					if err != nil || string(v.Text) != tc.want || v.TTL > 12*time.Hour+tolerance {
						t.Errorf("got %s for %v, %v; want %s", string(v.Text), v.TTL, err, tc.want)
					}
				})
			})
		}
	}
}

// TestWithdrawalAtWrongClock: the wall clock of a host with peers is wrong. A withdrawal that is
// older than the authorization changes nothing, a later one ends it, and the next authorization
// counts.
func TestWithdrawalAtWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, 0, 2 * time.Hour} {
		t.Run(fmt.Sprint("ahead by ", ahead), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
					first := token("first-"+string(code), time.Hour)
					return fetchers.Authorization{Child: "wxa", Grant: "grant-" + code, Token: &first}, nil
				}
				r := startPeers(t, &peers{}, Config{Catalog: p.catalog(), Wall: func() time.Time { return time.Now().Add(ahead) }})
				r.mustPush("ticket", time.Now())
				grant, name := customer("wxa", "refresh_token"), customer("wxa", "access_token")
				now := time.Now()
				at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
				accept := func(code secret.Text, seconds int) {
					t.Helper()
					if err := r.Accept(t.Context(), platform, code, at(seconds), r.clock.Time().Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				withdraw := func(seconds int) {
					t.Helper()
					if err := r.Revoke(t.Context(), grant, at(seconds)); err != nil {
						t.Fatal(err)
					}
				}
				accept("one", 10)
				withdraw(5)
				if got := r.mustGet(name); got != "first-one" {
					t.Errorf("after an older withdrawal: got %s", got)
				}
				withdraw(20)
				_, err := r.get(name)
				mustReason(t, err, credential.Reauth)
				accept("two", 30)
				withdraw(20)
				if got := r.mustGet(name); got != "first-two" {
					t.Errorf("after the next authorization: got %s", got)
				}
				withdraw(30 * 86400)
				accept("three", 40)
				if got := r.mustGet(name); got != "first-three" {
					t.Errorf("after a withdrawal from the future: got %s", got)
				}
			})
		})
	}
}
