package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
)

// many is a survey of many accounts. Each has a fetched token, an idle ticket and a budget of both.
func many(accounts int, named bool) survey.Survey {
	v := example()
	v.Named = named
	v.Summaries = func(yield func(*credential.Summary) bool) {
		for i := range accounts {
			owner := "official_account/wx" + strconv.Itoa(i)
			token := credential.Summary{
				Name: owner + "/access_token", Kind: "stable_token", State: credential.Fresh, Durable: true,
				FetchedAt: at, ExpiresAt: at.Add(time.Hour), NextRefresh: at.Add(time.Minute),
			}
			ticket := credential.Summary{Name: owner + "/jsapi_ticket", Kind: "ticket", Durable: true}
			if !yield(&token) || !yield(&ticket) {
				return
			}
		}
	}
	v.Asked = v.Summaries
	v.EachQuota = func(bool) iter.Seq[*credential.Quota] {
		return func(yield func(*credential.Quota) bool) {
			for i := range accounts {
				owner := "official_account/wx" + strconv.Itoa(i)
				if !yield(&credential.Quota{Account: owner, Word: "force", Limit: 20, Window: time.Hour}) ||
					!yield(&credential.Quota{Account: owner + "/jsapi_ticket", Word: "ticket", Limit: 80, Window: time.Hour}) {
					return
				}
			}
		}
	}
	return v
}

// TestSizes checks that scrapes of any number of accounts, named or not, are complete and
// well-formed.
func TestSizes(t *testing.T) {
	for _, accounts := range []int{0, 1, 10_000} {
		for _, named := range []bool{true, false} {
			text := scrape(t, many(accounts, named))
			got := wellFormed(t, text)
			each := 0
			if named {
				each = accounts
			}
			for name, want := range map[string]int{
				"tokend_credential_state":                          each * (credential.StateCount + 1),
				"tokend_credential_expiry_timestamp_seconds":       each,
				"tokend_credential_fetched_timestamp_seconds":      each,
				"tokend_credential_next_refresh_timestamp_seconds": each,
				"tokend_credential_failures":                       0,
				"tokend_budget_spent":                              2 * each,
				"tokend_budget_limit":                              2 * each,
				"tokend_budget_window_seconds":                     2 * each,
				"tokend_credentials":                               2 * credential.StateCount * min(accounts, 1),
				"tokend_budget_most_spent_ratio":                   2 * min(accounts, 1),
				"tokend_store_missing_commits":                     1,
			} {
				if got[name] != want {
					t.Errorf("%d accounts, named %v: %d samples of %s, want %d", accounts, named, got[name], name, want)
				}
			}
			fresh := fmt.Sprintf("\ntokend_credentials{family=\"official_account\",kind=\"stable_token\",state=\"fresh\"} %d\n", accounts)
			if strings.Contains(text, fresh) != (accounts > 0) {
				t.Errorf("%d accounts, named %v: missing: %s", accounts, named, fresh)
			}
		}
	}
}

// TestUnnamed checks that no line names an account if Named is false.
func TestUnnamed(t *testing.T) {
	v := example()
	v.Named = false
	for line := range strings.Lines(scrape(t, v)) {
		if strings.Contains(line, "wx0123") || strings.Contains(line, "ww0123") {
			t.Errorf("got %s", line)
		}
	}
}

// TestBoundedMemory checks that a scrape's allocations do not depend on the number of accounts, and
// that it buffers at most a chunk.
func TestBoundedMemory(t *testing.T) {
	allocated := func(n int) uint64 {
		v := example()
		v.Summaries = slices.Values(slices.Repeat(summaries()[:1], n))
		v.Asked = v.Summaries
		budgets := slices.Repeat([]*credential.Quota{{Account: "official_account/wx0123", Word: "force", Limit: 20}}, n)
		v.EachQuota = func(bool) iter.Seq[*credential.Quota] { return slices.Values(budgets) }
		write, err := New(looking(v)).Scrape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var w largest
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = write(&w)
		runtime.ReadMemStats(&after)
		if err != nil || w.n > chunk+spare {
			t.Errorf("%v; %d bytes were written at once", err, w.n)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(10) // includes allocations that are made once
	if few, many := allocated(10), allocated(10_000); many > few+8<<10 {
		t.Errorf("%d bytes for 10 credentials, %d for 10 000", few, many)
	}
}

// largest records the size of the largest write.
type largest struct{ n int }

func (l *largest) Write(p []byte) (int, error) { l.n = max(l.n, len(p)); return len(p), nil }

// failing accepts left writes and then fails.
type failing struct{ left int }

var errGone = errors.New("the client has gone")

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errGone
	}
	return len(p), nil
}

// TestEnds checks that a scrape ends soon, with an error, after a failed write or the end of its
// context.
func TestEnds(t *testing.T) {
	v := many(10_000, true)
	walked, summaries := 0, v.Summaries
	v.Summaries = func(yield func(*credential.Summary) bool) {
		for s := range summaries {
			if walked++; !yield(s) {
				return
			}
		}
	}
	for left := range 5 {
		walked = 0
		write, err := New(looking(v)).Scrape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := write(&failing{left}); !errors.Is(err, errGone) || walked > 1000*(left+1) {
			t.Errorf("%d chunks: got %v after %d credentials", left, err, walked)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	write, err := New(looking(v)).Scrape(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := write(io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("context ended: got %v", err)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := New(looking(many(10_000, true)))
	b.ReportAllocs()
	for b.Loop() {
		write, err := m.Scrape(b.Context())
		if err == nil {
			err = write(io.Discard)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// slowly delays each write.
type slowly struct{}

func (slowly) Write(p []byte) (int, error) { time.Sleep(time.Second); return len(p), nil }

// TestRestForSlowClients checks that a scrape rests while it waits for a slow client, and does not
// for a quick one.
func TestRestForSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			w    io.Writer
			many bool
		}{{io.Discard, false}, {slowly{}, true}} {
			v, rests := many(1000, true), 0
			v.Rest = func() { rests++ }
			write, err := New(looking(v)).Scrape(t.Context())
			if err == nil {
				err = write(test.w)
			}
			if err != nil || (rests > 5) != test.many || rests == 0 {
				t.Errorf("%T: %d rests, %v", test.w, rests, err)
			}
		}
	})
}
