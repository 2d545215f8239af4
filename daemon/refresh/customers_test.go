package refresh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestChildOfHeldCustomer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustGet(customer("wxa", "jsapi_ticket"))
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61023, fetchers.Reauthorize)
		})
		for range 6 * 60 {
			time.Sleep(time.Minute)
			_, _ = r.get(customer("wxa", "jsapi_ticket"))
		}
		if n := r.counts.failed.Load(); n > 6*60+100 {
			t.Errorf("failed refreshes in six hours of asking once a minute: got %d", n)
		}
	})
}

func TestUnknownCustomersCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 1000 {
			children = append(children, fmt.Sprintf("wx%d", i))
		}
		p, d := newPlatform(children...), newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		entries, calls := len(r.index.all()), r.counts.fetches.Load()
		_, _, w := r.Watch(nil, "", nil)
		defer w.Close()
		d.fail(errors.New("written")) // which is logged
		for _, c := range children {
			for _, word := range []string{"access_token", "jsapi_ticket"} {
				name := customer(c, word)
				_, err := r.get(name)
				mustReason(t, err, credential.Reauth)
				_, err = r.Reject(t.Context(), name, "value")
				mustReason(t, err, credential.Reauth)
				_, err = r.Refresh(t.Context(), name)
				mustReason(t, err, credential.Reauth)
				_, err = r.Status(name)
				mustReason(t, err, credential.Reauth)
			}
		}
		if n := len(r.index.all()) - entries; n != 0 {
			t.Errorf("entries made: %d", n)
		}
		if n := r.counts.fetches.Load() - calls; n != 0 {
			t.Errorf("calls: %d", n)
		}
		// An entry that was made and dropped at once would have been announced.
		if told, _ := w.Take(); len(told) != 0 {
			t.Errorf("changes: %v and %d more", told[0], len(told)-1)
		}
		if strings.Contains(r.log(), "written") {
			t.Errorf("something was written:\n%s", r.log())
		}
	})
}

func TestOnlyUsedCustomersRefreshed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 2000 {
			children = append(children, fmt.Sprintf("wx%d", i))
		}
		p := newPlatform(children...)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		tickets := func(ctx context.Context) {
			for i := 0; ctx.Err() == nil; i++ {
				_ = r.Push(ctx, verify, secret.Text(fmt.Sprint("ticket-", i)), time.Now())
				select {
				case <-time.After(10 * time.Minute):
				case <-ctx.Done():
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go tickets(ctx)
		time.Sleep(time.Second)
		for _, c := range children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
			r.mustGet(customer(c, "access_token"))
		}
		inUse := children[:20]
		for range 24 * 2 {
			time.Sleep(30 * time.Minute)
			for _, c := range inUse {
				if _, ok := r.Cached([]byte(customer(c, "access_token"))); !ok {
					t.Fatalf("a customer in use had to wait")
				}
			}
		}
		// Everybody once, those in use about 13 times a day.
		if n := p.token.count(); n < 2000+20*11 || n > 2000+20*14 {
			t.Errorf("calls: got %d, want about %d", n, 2000+20*13)
		}
		if n := len(r.index.all()); n > 30 {
			t.Errorf("entries in memory: got %d, want those in use", n)
		}
		kept := 0
		for range d.All(record.Credentials) {
			kept++
		}
		if kept > 30 {
			t.Errorf("values on disk: got %d, want those in use", kept)
		}
		r.mustGet(customer("wx1999", "access_token"))
	})
}

func TestPreAuthCodePerRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		seen := map[string]bool{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				v, err := r.get(preAuth)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[v] {
					t.Errorf("got %q, %v; want a code of its own", v, err)
				}
				seen[v] = true
			})
		}
		wg.Wait()
		if n := p.code.atOnce(); n > asksAtOnce {
			t.Errorf("calls at once: got %d, want at most %d", n, asksAtOnce)
		}
		if d.has(record.Credentials, preAuth) {
			t.Error("a code is on disk")
		}
		if _, ok := r.Cached([]byte(preAuth)); ok {
			t.Error("a code is kept")
		}
		p.code.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61004, fetchers.AddressRefused)
		})
		calls := p.code.count()
		for range 5 {
			_, err := r.get(preAuth)
			mustReason(t, err, credential.Refused)
		}
		if n := p.code.count() - calls; n != 1 {
			t.Errorf("calls in a hold: got %d, want 1", n)
		}
	})
}

func TestImportWholeList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		const total = 1203
		p.list = func(offset, count int) (fetchers.AuthorizerPage, error) {
			page := fetchers.AuthorizerPage{Total: total}
			for i := offset; i < min(offset+count, total); i++ {
				a := fetchers.ListedAuthorizer{AppID: fmt.Sprintf("wx%d", i)}
				if i%100 != 7 { // some codes were never exchanged
					a.RefreshToken = secret.Text(fmt.Sprintf("refresh-%d", i))
				}
				if i >= 500 && i < 1000 { // a page of malformed entries
					page.Skipped = append(page.Skipped, errors.New("malformed"))
					continue
				}
				page.Authorizers = append(page.Authorizers, a)
			}
			return page, nil
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		kept, pages := 0, 0
		var missing error
		for offset := 0; missing == nil; pages++ {
			page, err := r.Import(t.Context(), platform, offset)
			kept, missing = kept+page.Kept, err
			if offset = page.Next; offset == 0 {
				break
			}
		}
		if kept != total-507 || pages != 2 {
			t.Errorf("kept %d grants on %d pages after the first, want %d on 2", kept, pages, total-507)
		}
		if of := mustReason(t, missing, credential.Unreachable); !strings.HasPrefix(of.Message, "500 of 1203 customers are missing") {
			t.Errorf("told %q", of.Message)
		}
		if n, _ := r.List(nil, platform+"/wx", nil); n != total-507 {
			t.Errorf("listed: got %d", n)
		}
	})
}

func TestPreAuthCodeIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		_, _, w := r.Watch(nil, preAuth, nil)
		r.mustState(preAuth, credential.Idle)
		r.mustGet(preAuth)
		r.mustState(preAuth, credential.Idle)
		_, all := r.List(nil, preAuth, nil)
		for l := range all {
			if l.State != credential.Idle {
				t.Errorf("listed as %s", l.State)
			}
		}
		synctest.Wait()
		told, _ := w.Take()
		for _, l := range told {
			if l.State != credential.Idle {
				t.Errorf("watchers were notified of %s", l.State)
			}
		}
	})
}
