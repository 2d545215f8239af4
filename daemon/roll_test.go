package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

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

func TestMalformedEntriesProveNoDeparture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := newRoll(lister{skipping{&pages{total: 501}}, "open_platform/wxc", hclog.New(&hclog.LoggerOptions{Output: &out})})
		for range 2 { // from WeChat, and from memory
			if got, err := r.find(t.Context(), "parent", "wx500"); err != nil || got != "refresh-500" {
				t.Errorf("got %q, %v", string(got), err)
			}
			if got, err := r.find(t.Context(), "parent", "wx3"); err == nil {
				t.Errorf("a customer that may be a malformed entry has left: got %q", string(got))
			}
		}
		if text := out.String(); strings.Count(text, "owner=open_platform/wxc offset=0 skipped=7 first=\"in list[3]: not read\"") != 1 {
			t.Errorf("logged %s", text)
		}
	})
}

// skipping is pages of which some entries cannot be read.
type skipping struct{ *pages }

func (s skipping) Page(ctx context.Context, parent secret.Text, offset, count int) (fetchers.AuthorizerPage, error) {
	page, err := s.pages.Page(ctx, parent, offset, count)
	if offset == 0 {
		page.Authorizers = slices.Delete(page.Authorizers, 3, 10)
		for i := 3; i < 10; i++ {
			page.Skipped = append(page.Skipped, fmt.Errorf("in list[%d]: not read", i))
		}
	}
	return page, err
}
