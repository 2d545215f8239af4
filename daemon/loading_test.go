package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/boot"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/record"
	"tokend/daemon/store"
	"tokend/fetchers/secret"
)

const (
	manyPlatform = "open_platform/wxcomponent"
	manyTOML     = `
[[open_platform]]
app_id = "wxcomponent"
secret = "component-secret"
token = "component-signs"
aes_key = "` + catalogtest.AESKey1 + `"
`
)

// leave stores n customers as an earlier run since the boot would. The last customer has withdrawn
// the authorization.
func (s *site) leave(n int) {
	s.t.Helper()
	st, err := store.Open(store.Config{Dir: filepath.Join(s.dir, "state")})
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now().Add(-time.Hour)
	moment := func(after time.Duration) record.Moment {
		m := record.Moment{Wall: began.Add(after)}
		if since := boot.Clock(); since != nil {
			m.Since = since() + time.Until(m.Wall)
		}
		return m
	}
	var recs []record.Record
	for i := range n {
		customer := fmt.Sprintf("%s/wx%d", manyPlatform, i)
		g := record.Grant{Name: customer + "/refresh_token"}
		g.Value, g.At, g.Source = "refresh", began, "put"
		if i == n-1 {
			g.Revoked = began
		}
		c := record.Credential{Name: customer + "/access_token", Value: secret.Text("kept-" + customer), Boot: boot.ID(),
			Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}
		recs = append(recs, g.Encode(), c.Encode())
		if len(recs) >= 200 || i == n-1 {
			if err := st.Put(s.t.Context(), recs...); err != nil {
				s.t.Fatal(err)
			}
			recs = recs[:0]
		}
	}
	if err := st.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// TestServedWhileLoading checks that a daemon with many customers serves every authorized customer,
// and no other, as soon as it is ready. Loading may still be in progress, and the previous run may
// have been stopped while loading.
func TestServedWhileLoading(t *testing.T) {
	s := newSite(t)
	const n = 3000
	s.leave(n)
	for range 3 {
		d := s.start(s.config(manyTOML))
		var asking sync.WaitGroup
		for from := range 8 {
			asking.Go(func() {
				for i := from; i < n; i += 8 * 13 {
					name := fmt.Sprintf("%s/wx%d", manyPlatform, i)
					if c, err := s.client.Get(t.Context(), name+"/access_token"); i < n-1 && (err != nil || string(c.Value) != "kept-"+name) {
						t.Errorf("%s: got %q, %v", name, string(c.Value), err)
					}
				}
			})
		}
		gone := fmt.Sprintf("%s/wx%d/access_token", manyPlatform, n-1)
		if _, err := s.client.Get(t.Context(), gone); !errors.Is(err, clientlib.ErrReauth) {
			t.Errorf("a withdrawn authorization: got %v", err)
		}
		asking.Wait()
		d.stop()
		s.start(s.config(manyTOML)).stop() // while loading
	}
	d := s.start(s.config(manyTOML))
	all, err := s.client.List(context.Background(), manyPlatform+"/wx")
	if err != nil || len(all) != 2*n-1 {
		t.Errorf("got %d credentials, %v, want %d", len(all), err, 2*n-1)
	}
	d.stop()
	if calls := s.wechat.Total(); calls > 0 {
		t.Errorf("got %d calls, want 0", calls)
	}
}

// TestReloadWhileLoadingCanceled checks that a reload that waits for loading ends with its context
// and changes nothing.
func TestReloadWhileLoadingCanceled(t *testing.T) {
	s := newSite(t)
	file := s.config(manyTOML)
	d, err := New(Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := d.Reload(ctx, s.config("")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d.file != file {
		t.Error("the other configuration is in force")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
