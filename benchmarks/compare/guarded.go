//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

// strangers returns n users of this host other than root.
func strangers(n int) (uids []uint32, names []string) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || len(uids) == n {
			continue
		}
		if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil && uid > 0 {
			uids, names = append(uids, uint32(uid)), append(names, strconv.Quote(fields[0]))
		}
	}
	return uids, names
}

// guards are the features of a daemon that cost time.
type guards struct {
	name                string
	rules, sealed, http bool
	scraped             bool // once a second
}

// asking is the number of users that send requests, since one user alone would reach its limit. One
// program sends for all of them: five programs on one processor run in step with the server in
// different ways, and their results differ by 10 % from turn to turn.
const asking = 5

// guarded measures the cost of access rules, sealing and metrics, with users to whom the rules
// apply, and with a scrape per second. Prometheus scrapes every fifteen seconds.
func (c *comparison) guarded(ctx context.Context) error {
	r, scrapes, err := c.withGuards(ctx, []guards{{name: "bare"}, {name: "guarded", rules: true, sealed: true, http: true, scraped: true}})
	if err != nil {
		return err
	}
	lost := func(figure, load string) {
		c.Rows.AtMost("rules, sealing, metrics: "+figure, 100*(1-r.ratio(load, "guarded", "bare", rate)), 10, 3, " %",
			fmt.Sprintf("%d users, %d scrapes; %.0fk/s instead of %.0fk/s", asking, scrapes, r.middle(load, "guarded", rate)/1000, r.middle(load, "bare", rate)/1000))
	}
	lost("throughput lost, 50 connections", "50")
	c.Rows.AtMost("rules, sealing, metrics: CPU a request added", 100*(r.ratio("50", "guarded", "bare", cpu)-1), 10, 3, " %",
		fmt.Sprintf("%.2f us instead of %.2f us", r.middle("50", "guarded", cpu), r.middle("50", "bare", cpu)))
	lost("connect, GET, close lost", "connect50")
	return nil
}

// apart measures the cost of each feature.
func (c *comparison) apart(ctx context.Context) error {
	all := []guards{
		{name: "bare"}, {name: "another bare one"}, {name: "rules", rules: true}, {name: "sealing", sealed: true}, {name: "HTTP", http: true},
		{name: "scrapes", http: true, scraped: true}, {name: "all", rules: true, sealed: true, http: true, scraped: true},
	}
	r, _, err := c.withGuards(ctx, all)
	if err != nil {
		return err
	}
	for _, g := range all[1:] {
		for _, load := range []string{"50", "connect50"} {
			c.Rows.AtMost(fmt.Sprintf("%s, %s: CPU a request added", g.name, load), 100*(r.ratio(load, g.name, "bare", cpu)-1), 10, 3, " %",
				fmt.Sprintf("%.2f us instead of %.2f us; %.1f %% of throughput lost", r.middle(load, g.name, cpu), r.middle(load, "bare", cpu),
					100*(1-r.ratio(load, g.name, "bare", rate))))
		}
	}
	return nil
}

// withGuards runs daemons with different guards in turns, all with the same names. It returns the
// results and the number of scrapes of each scraped daemon.
func (c *comparison) withGuards(ctx context.Context, all []guards) (r results, scrapes int, err error) {
	uids, names := strangers(asking)
	if os.Geteuid() != 0 || len(uids) < asking {
		return nil, 0, errors.New("only root can send requests as other users")
	}
	var contenders []contender
	var states []*rig.State
	var stops []func() (int, error)
	for i, g := range all {
		address, err := rig.FreeAddress()
		if err != nil {
			return nil, 0, err
		}
		s, err := c.guard(ctx, fmt.Sprintf("guards%d", i), g, names, address)
		if err != nil {
			return nil, 0, err
		}
		defer s.Close()
		states = append(states, s)
		p, err := c.Serve(s)
		if err != nil {
			return nil, 0, err
		}
		defer p.Stop()
		contenders = append(contenders, contender{g.name, "tokend", p})
		if g.scraped {
			// Also during the turns of others: CPU time is counted per process.
			stops = append(stops, scrape(ctx, "http://"+address+"/metrics"))
		}
	}
	requests, err := questions(states[0].Names) // the same in all states
	if err != nil {
		return nil, 0, err
	}
	r, err = inTurns(rig.Pick(&c.Rig, 11, 5), contenders, []rig.Shape{{Name: "50"}, {Name: "connect50"}}, func(one contender, l rig.Shape) (rig.Shot, error) {
		return c.ShootAs(ctx, one.process, generator.Plan{
			Dialect: generator.Tokend, Requests: requests, Connections: 50, Reconnect: l.Name == "connect50", As: uids,
			Duration: 700 * time.Millisecond, WarmUp: 200 * time.Millisecond,
		})
	})
	for _, stop := range stops {
		n, failed := stop()
		scrapes, err = n, errors.Join(err, failed)
	}
	return r, scrapes, err
}

// questions returns a GET of each name in a file.
func questions(names string) (*generator.Requests, error) {
	text, err := os.ReadFile(names)
	if err != nil {
		return nil, err
	}
	var r generator.Requests
	for name := range strings.Lines(string(text)) {
		r.Add(func(b []byte) []byte { return generator.Tokend.AppendGet(b, strings.TrimSuffix(name, "\n")) })
	}
	return &r, nil
}

// guard fills a state directory for a daemon with g. Its rules are for the users in names, and it
// listens for HTTP at address.
func (c *comparison) guard(ctx context.Context, name string, g guards, names []string, address string) (*rig.State, error) {
	var args []string
	if g.sealed {
		args = []string{"-key", c.Path("key")}
	}
	s, err := c.NewState(ctx, name, 10_000, "", args...)
	if err != nil {
		return nil, err
	}
	var tables strings.Builder
	if g.http {
		fmt.Fprintf(&tables, "\n[pages]\nlisten = %q\n", address)
	}
	if g.rules {
		for _, patterns := range []string{`"work/*", "official_account/*/jsapi_ticket"`, `"mini_program/*"`, `"open_platform/*/access_token"`} {
			fmt.Fprintf(&tables, "\n[[access]]\nusers = [%s]\nnames = [%s]\nverbs = [\"GET\", \"REJECT\"]\n", strings.Join(names, ", "), patterns)
		}
	}
	if err := s.Open(tables.String()); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// scrape scrapes once a second. stop ends it and returns the number of scrapes and the first error.
func scrape(ctx context.Context, url string) (stop func() (scrapes int, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	n := 0
	g.Go(func() error {
		for tick := time.Tick(time.Second); ; n++ {
			if err := scrapeOnce(ctx, url); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-tick:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return func() (int, error) {
		cancel()
		err := g.Wait()
		return n, err
	}
}

func scrapeOnce(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "tokend_requests_total")) {
		err = fmt.Errorf("%s: %s: %.200q", url, resp.Status, body)
	}
	return err
}
