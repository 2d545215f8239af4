package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
)

type pages struct {
	total, calls int
	err          error
}

func (p *pages) Page(_ context.Context, _ secret.Text, offset, count int) (fetchers.AuthorizerPage, error) {
	p.calls++
	time.Sleep(100 * time.Millisecond)
	page := fetchers.AuthorizerPage{Total: p.total}
	for i := offset; i < min(offset+count, p.total); i++ {
		page.Authorizers = append(page.Authorizers, fetchers.ListedAuthorizer{AppID: fmt.Sprint("wx", i), RefreshToken: secret.Text(fmt.Sprint("refresh-", i))})
	}
	return page, p.err
}

func TestTheRollIsCalledOnceForAllWhoLookSomebodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pages{total: 1203}
		r := newRoll(p)
		var wg sync.WaitGroup
		for _, i := range []int{0, 499, 500, 1202} {
			wg.Go(func() {
				got, err := r.find(t.Context(), "parent", fmt.Sprint("wx", i))
				if want := secret.Text(fmt.Sprint("refresh-", i)); err != nil || got != want {
					t.Errorf("wx%d: got %q, %v", i, string(got), err)
				}
			})
		}
		wg.Wait()
		if got, err := r.find(t.Context(), "parent", "wxnobody"); err != nil || got != "" {
			t.Errorf("somebody who is not on it: got %q, %v", string(got), err)
		}
		if p.calls != 3 {
			t.Errorf("calls: got %d, want 3 pages", p.calls)
		}
		time.Sleep(rollFresh)
		p.err = errors.New("away")
		if _, err := r.find(t.Context(), "parent", "wx0"); err == nil {
			t.Error("a roll of a minute ago was believed")
		}
	})
}
