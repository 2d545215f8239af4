package page

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server"
	"tokend/daemon/survey"
	"tokend/daemon/throttle"
	"tokend/fetchers"
)

// fakeSource is a daemon with the given credentials.
type fakeSource struct {
	mu     sync.Mutex
	survey survey.Survey
	all    []credential.Status // sorted by name
	quotas []credential.Quota
	past   map[string][]credential.Attempt
	asked  int // names whose details were requested
	looks  int
}

// change changes the source.
func (f *fakeSource) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *fakeSource) Look(context.Context) survey.Survey {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	v := f.survey
	v.Summaries = f.summaries(slices.Clone(f.all))
	return v
}

func (f *fakeSource) summaries(all []credential.Status) iter.Seq[*credential.Summary] {
	return func(yield func(*credential.Summary) bool) {
		for i := range all {
			c := &all[i]
			if !yield(&credential.Summary{Name: c.Name, Kind: c.Kind, State: c.State, FetchedAt: c.FetchedAt, ExpiresAt: c.ExpiresAt,
				NextRefresh: c.NextRefresh, ErrCode: c.ErrCode, Failures: c.Failures, Durable: c.Durable}) {
				return
			}
		}
	}
}

func (f *fakeSource) Quotas(context.Context) []credential.Quota { return f.quotas }

func (f *fakeSource) Recent(_ context.Context, n int) (last []credential.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, past := range f.past {
		for _, a := range past {
			last = append(last, credential.Event{Name: name, Attempt: a})
		}
	}
	slices.SortFunc(last, func(a, b credential.Event) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return last[:min(n, len(last))]
}

func (f *fakeSource) Details(names []string) (all []credential.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked += len(names)
	for _, name := range names {
		if i, ok := slices.BinarySearchFunc(f.all, name, func(c credential.Status, name string) int { return strings.Compare(c.Name, name) }); ok {
			all = append(all, f.all[i])
		}
	}
	return all
}

func (f *fakeSource) Tickets() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.all {
		if c.Pushed {
			names = append(names, c.Name)
		}
	}
	return names
}

func (f *fakeSource) History(name string) ([]credential.Attempt, error) { return f.past[name], nil }

func (f *fakeSource) Children(_ context.Context, name string) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.all {
		if c.Parent == name {
			names = append(names, c.Name)
		}
	}
	return names
}

func (f *fakeSource) User(uid uint32) string {
	return map[uint32]string{0: "root", 33: "www-data", 1000: "deploy"}[uid]
}

func (f *fakeSource) Begin(context.Context) *throttle.Work { return nil }

// newFake returns a source of n credentials of all families at a time, some of them in trouble.
func newFake(n int, at time.Time) *fakeSource {
	f := &fakeSource{past: map[string][]credential.Attempt{}}
	f.survey = survey.Survey{
		Version: "1.4.0", At: at, Began: at.Add(-9*24*time.Hour - 5*time.Hour),
		Endpoints: []credential.Endpoint{{Path: "/cgi-bin/gettoken", OK: 12034, Refused: 3, Took: 1500 * time.Second}, {Path: "/cgi-bin/stable_token", OK: 4100, Took: 500 * time.Second}},
		Hosts:     []credential.Host{{API: "weixin", Name: "api.weixin.qq.com", Used: true}, {API: "work", Name: "qyapi.weixin.qq.com", Used: true}},
		Socket:    server.Counts{Reads: 98765432, Hits: 98765000, Waits: 432, Open: 212},
	}
	readers := func(uids ...uint32) *credential.Readers {
		r := new(credential.Readers)
		var all atomic.Int32
		for i, uid := range uids {
			r.Add(uid, &all)
			for range 100 - 30*i {
				r.Count(uid)
			}
		}
		return r
	}
	add := func(name, kind string, c credential.Status) {
		c.Name, c.Kind, c.Durable = name, kind, true
		if c.State == credential.Fresh || c.State == credential.Stale {
			i := len(f.all)
			age := time.Duration(i*397%6900+20) * time.Second
			c.FetchedAt, c.ExpiresAt = at.Add(-age), at.Add(2*time.Hour-age)
			c.TTL, c.NextRefresh = 2*time.Hour-age, at.Add(max(2*time.Hour-age-5*time.Minute, 40*time.Second))
			c.Fingerprint = fmt.Sprintf("%012x", i*7919)
			c.Readers = readers(33, 1000)
		}
		f.all = append(f.all, c)
	}
	refused := func(state credential.State, code int, r fetchers.Reaction) credential.Status {
		return credential.Status{Listing: credential.Listing{State: state}, ErrCode: code, Reaction: r, Reason: credential.Refused, Failures: 3, Held: true,
			ErrorAt: at.Add(-7 * time.Minute), HoldUntil: at.Add(23 * time.Minute), LastError: fmt.Sprintf("errcode=%d %s", code, meaning(code))}
	}
	fresh := credential.Status{Listing: credential.Listing{State: credential.Fresh}}
	switch {
	case n <= 3:
		add("mini_program/wx8f2c1e5b7a903d46/access_token", "stable_token", fresh)
		add("official_account/wx1a2b3c4d5e6f7081/access_token", "stable_token", fresh)
		add("official_account/wx1a2b3c4d5e6f7081/jsapi_ticket", "jsapi_ticket", credential.Status{Listing: credential.Listing{State: credential.Fresh}, Parent: "official_account/wx1a2b3c4d5e6f7081/access_token"})
	default:
		for i := 0; len(f.all) < n-12; i++ {
			id := fmt.Sprintf("wx%016x", 0x1a2b3c4d5e6f7000+uint64(i)*4099)
			c := fresh
			switch {
			case i%97 == 13:
				c = refused(credential.Stale, 60020, fetchers.AddressRefused)
				c.Address = "203.0.113.9"
			case i%53 == 7:
				c = credential.Status{Listing: credential.Listing{State: credential.Idle}}
			case i == 5:
				c = refused(credential.Held, 40125, fetchers.Misconfigured)
				c.HoldUntil = time.Time{}
			}
			switch i % 3 {
			case 0:
				add("mini_program/"+id+"/access_token", "stable_token", c)
			case 1:
				name := "official_account/" + id + "/access_token"
				add(name, "stable_token", c)
				add("official_account/"+id+"/jsapi_ticket", "jsapi_ticket", credential.Status{Listing: credential.Listing{State: credential.Fresh}, Parent: name})
			case 2:
				add(fmt.Sprintf("work/ww%014x/%d/access_token", i/30+77, 1000002+i%30), "corp_token", c)
			}
		}
		ticket := credential.Status{Listing: credential.Listing{State: credential.Fresh}, Pushed: true, Refused: new(credential.Refusals)}
		add("open_platform/wxcomponent12345678/component_verify_ticket", "component_verify_ticket", ticket)
		add("open_platform/wxcomponent12345678/component_access_token", "component_token", credential.Status{Listing: credential.Listing{State: credential.Fresh}, Parent: "open_platform/wxcomponent12345678/component_verify_ticket"})
		add("open_work/wwprovider00000001/provider_access_token", "provider_token", fresh)
		waiting := credential.Status{Listing: credential.Listing{State: credential.Waiting}, Pushed: true, Refused: new(credential.Refusals), LastError: "no suite_ticket has been pushed", Reason: credential.NoTicket, ErrorAt: at.Add(-26 * time.Minute)}
		waiting.Refused.N[credential.WrongSignature] = 4
		add("open_work/wwsuite0000000001/suite_ticket", "suite_ticket", waiting)
		add("open_work/wwsuite0000000001/suite_access_token", "suite_token", credential.Status{Listing: credential.Listing{State: credential.Waiting}, Parent: "open_work/wwsuite0000000001/suite_ticket", LastError: "no suite_ticket has been pushed", Reason: credential.NoTicket, Derived: true})
		f.quotas = []credential.Quota{
			{Account: "official_account/wx1a2b3c4d5e6f8003", Word: "token", Spent: 1840, Limit: 2000, Window: 24 * time.Hour},
			{Word: "erroneous calls", Spent: 7, Limit: 1500, Window: time.Hour},
		}
		f.survey.Census.Customers = []credential.CustomerStates{{Platform: "open_platform/wxcomponent12345678", Kind: "authorizer_token", States: [credential.StateCount]int{0, 12034, 0, 8, 0, 9}}}
		f.survey.Census.Holds = []credential.Holds{{Kind: "authorizer_token", Reason: credential.Refused, ErrCode: 61003, Reaction: fetchers.Reauthorize, N: 9}}
	}
	slices.SortFunc(f.all, func(a, b credential.Status) int { return strings.Compare(a.Name, b.Name) })
	for i, c := range f.all {
		if c.FetchedAt.IsZero() || i > 400 {
			continue
		}
		var past []credential.Attempt
		for k := range 11 {
			a := credential.Attempt{At: c.FetchedAt.Add(-time.Duration(k) * 115 * time.Minute), Cause: credential.CauseSchedule, Outcome: "ok", Took: time.Duration(90+13*k) * time.Millisecond}
			switch k {
			case 4:
				a.Cause = credential.CauseReject
			case 7:
				a.Outcome, a.ErrCode, a.RID = "upstream", 40125, "68a1f3c2-1a2b3c4d-5e6f7081"
			}
			if c.Pushed {
				a.Cause = credential.CausePush
			}
			past = append(past, a)
		}
		if c.ErrCode != 0 {
			past = append([]credential.Attempt{{At: c.ErrorAt, Cause: credential.CauseSchedule, Outcome: "upstream", ErrCode: c.ErrCode, RID: "68a1f3c2-1a2b3c4d-5e6f7082", Took: 120 * time.Millisecond}}, past...)
		}
		f.past[c.Name] = past
	}
	return f
}

func meaning(code int) string {
	english, _ := fetchers.Meaning(code == 60020, code)
	return english
}
