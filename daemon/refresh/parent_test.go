package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

func TestDeadParentRefreshedOnce(t *testing.T) {
	for _, tc := range []struct {
		name              string
		heal              bool // the second parent is accepted
		same              bool // the parent's refresh repeats its value
		parents, children int
	}{
		{"the next parent is accepted", true, false, 2, 2},
		{"the next parent is refused too", false, false, 2, 2},
		{"the parent does not change", false, true, 2, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				parent := fresh(2 * time.Hour)
				if tc.same {
					parent.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
						return token("tok-1", time.Hour), nil
					})
				}
				child := &upstream{answer: func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					if tc.heal && ask.Parent == "tok-2" {
						return token("ticket", time.Hour), nil
					}
					return fetchers.Token{}, refusal(40001, fetchers.ParentDead)
				}}
				r := start(t, Config{Catalog: specs(
					Spec{Name: app, Policy: policy.StableToken, Fetcher: parent},
					Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: child})})
				_, err := r.get(tick)
				if tc.heal != (err == nil) {
					t.Errorf("got %v", err)
				}
				for range 20 {
					_, _ = r.get(tick)
					time.Sleep(time.Second)
				}
				if p, c := parent.count(), child.count(); p != tc.parents || c != tc.children {
					t.Errorf("calls: parent %d, child %d; want %d, %d", p, c, tc.parents, tc.children)
				}
			})
		})
	}
}

func TestChildReportsParentError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		parent := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}}
		child := fresh(time.Hour)
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: parent},
			Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: child})})
		for range 50 {
			_, err := r.get(tick)
			if e := mustReason(t, err, credential.Refused); e.RetryAfter <= 4*time.Minute-time.Minute {
				t.Fatalf("retry after: got %v, want the parent's", e.RetryAfter)
			}
			time.Sleep(time.Second)
		}
		parent.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("p", time.Hour), nil })
		if _, err := r.Refresh(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := r.Cached([]byte(tick)); !ok {
			t.Error("the parent has recovered and the child was not woken")
		}
		if n := child.count(); n != 1 {
			t.Errorf("calls of the child: got %d, want 1", n)
		}
	})
}
