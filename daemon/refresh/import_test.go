package refresh

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// pageOf returns a page of customers from a number to before another.
func pageOf(total, from, to int) fetchers.AuthorizerPage {
	page := fetchers.AuthorizerPage{Total: total}
	for i := from; i < to; i++ {
		page.Authorizers = append(page.Authorizers, fetchers.ListedAuthorizer{AppID: fmt.Sprint("wx", i), RefreshToken: secret.Text(fmt.Sprint("refresh-", i))})
	}
	return page
}

// TestImportCountsCustomers: an import is complete when as many customers were seen as WeChat
// counts.
func TestImportCountsCustomers(t *testing.T) {
	for _, tc := range []struct {
		name string
		list func(call, offset, count int) fetchers.AuthorizerPage
		from int    // where the import begins
		kept int    // grants
		want string // the error; "" for none
	}{
		{"whole", func(_, offset, count int) fetchers.AuthorizerPage {
			return pageOf(1200, offset, min(offset+count, 1200))
		}, 0, 1200, ""},
		{"short pages", func(_, offset, _ int) fetchers.AuthorizerPage { return pageOf(1200, offset, min(offset+70, 1200)) }, 0, 1200, ""},
		{"an empty page once", func(call, offset, count int) fetchers.AuthorizerPage {
			if call == 2 {
				return pageOf(1200, 0, 0)
			}
			return pageOf(1200, offset, min(offset+count, 1200))
		}, 0, 1200, ""},
		{"an empty first page once", func(call, offset, count int) fetchers.AuthorizerPage {
			if call == 1 {
				return pageOf(1200, 0, 0)
			}
			return pageOf(1200, offset, min(offset+count, 1200))
		}, 0, 1200, ""},
		{"empty pages", func(_, offset, count int) fetchers.AuthorizerPage {
			return pageOf(1200, offset, min(offset+count, 500))
		},
			0, 500, "700 of 1200 customers are missing: WeChat has listed 500"},
		{"no page", func(_, offset, count int) fetchers.AuthorizerPage { return pageOf(1200, 0, 0) },
			0, 0, "1200 of 1200 customers are missing: WeChat has listed 0"},
		{"overlapping pages", func(_, offset, count int) fetchers.AuthorizerPage {
			from := max(0, offset-22*min(1, offset/500))
			return pageOf(3000, from, min(from+count, 2978))
		}, 0, 2978, "22 of 3000 customers are missing: WeChat has listed 2978"},
		{"the same page for ever", func(_, _, count int) fetchers.AuthorizerPage { return pageOf(1e9, 0, count) },
			0, 500, "999999500 of 1000000000 customers are missing: WeChat has listed 500"},
		{"an absurd total", func(_, offset, count int) fetchers.AuthorizerPage {
			return pageOf(1e9, offset, min(offset+count, 1200))
		},
			0, 1200, "999998800 of 1000000000 customers are missing: WeChat has listed 1200"},
		{"nobody", func(int, int, int) fetchers.AuthorizerPage { return pageOf(0, 0, 0) }, 0, 0, ""},
		{"from an offset", func(_, offset, count int) fetchers.AuthorizerPage {
			return pageOf(1200, offset, min(offset+count, 1200))
		}, 600, 600, ""},
		{"missing from an offset on", func(_, offset, count int) fetchers.AuthorizerPage {
			return pageOf(1200, offset, min(offset+count, 1199))
		},
			600, 599, "1 of 1200 customers are missing: WeChat has listed 599"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform()
				calls := 0
				p.list = func(offset, count int) (fetchers.AuthorizerPage, error) {
					calls++
					return tc.list(calls, offset, count), nil
				}
				r := start(t, Config{Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				for range 2 { // what is missing is so the second time, too
					kept, told := 0, ""
					for offset, pages := tc.from, 0; ; pages++ {
						page, err := r.Import(t.Context(), platform, offset)
						kept += page.Kept
						if err != nil {
							told = mustReason(t, err, credential.Unreachable).Message
						}
						if offset = page.Next; offset == 0 || pages > 100 {
							break
						}
					}
					if kept != tc.kept || told != tc.want {
						t.Errorf("kept %d, told %q; want %d, %q", kept, told, tc.kept, tc.want)
					}
					tc.kept, calls = 0, -10
				}
			})
		})
	}
}

// TestImportGoesOn: an interrupted import continues with what it has seen.
func TestImportGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		p.list = func(offset, count int) (fetchers.AuthorizerPage, error) {
			from := max(0, offset-1*min(1, offset)) // the second page shows the last of the first again
			return pageOf(1000, from, min(from+count, 1000)), nil
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for range 2 {
			if _, err := r.Import(t.Context(), platform, 0); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.Import(t.Context(), platform, 500)
		if of := mustReason(t, err, credential.Unreachable); !strings.HasPrefix(of.Message, "1 of 1000") {
			t.Errorf("told %q", of.Message)
		}
	})
}

// TestImportOverwritesNoNewerGrant: a page may have been written before what came while it was
// read.
func TestImportOverwritesNoNewerGrant(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	for name, meanwhile := range map[string]func(r *rig) error{
		"rotation": func(r *rig) error { _, err := r.Refresh(r.t.Context(), customer("wxa", "access_token")); return err },
		"put":      func(r *rig) error { return r.Put(r.t.Context(), grant, "newer") },
		"exchange": func(r *rig) error { _, err := r.Exchange(r.t.Context(), platform, "code-of-wxa"); return err },
		"revocation": func(r *rig) error {
			return r.Revoke(r.t.Context(), grant, time.Now().Add(-time.Second))
		},
	} {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", disk refuses: ", refused), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := newPlatform("wxa", "wxb")
					p.token.answers(rotating)
					p.list = func(int, int) (fetchers.AuthorizerPage, error) {
						time.Sleep(2 * time.Second)
						return fetchers.AuthorizerPage{Total: 2, Authorizers: []fetchers.ListedAuthorizer{{AppID: "wxa", RefreshToken: "listed"}, {AppID: "wxb", RefreshToken: "listed"}}}, nil
					}
					d := newDisk()
					r := start(t, Config{Store: d, Catalog: p.catalog()})
					r.mustPush("ticket", time.Now())
					r.mustPut(grant, "first")
					r.mustGet(customer("wxa", "access_token"))
					time.Sleep(10 * time.Second)
					done := make(chan credential.ImportPage)
					go func() {
						page, err := r.Import(context.Background(), platform, 0)
						if err != nil {
							t.Error(err)
						}
						done <- page
					}()
					time.Sleep(time.Second)
					if refused && name != "put" && name != "revocation" { // those are refused themselves
						d.fail(errPath)
					}
					if err := meanwhile(r); err != nil && !refused {
						t.Fatal(err)
					}
					d.fail(nil)
					before, _ := r.grants.get(grant)
					page := <-done
					synctest.Wait()
					after, _ := r.grants.get(grant)
					if after.Value != before.Value || after.Value == "listed" || after.Live() != before.Live() || page.Kept != 1 {
						t.Errorf("in force: %q, live %v, want %q, %v; kept %d", string(after.Value), after.Live(), string(before.Value), before.Live(), page.Kept)
					}
					if len(r.grants.watches) != 0 {
						t.Error("still watched")
					}
				})
			})
		}
	}
}
