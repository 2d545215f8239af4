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
)

// strangers returns users of this host that are neither root nor anybody in particular.
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

// guarded measures what access rules, sealing and metrics cost: with users whom the rules bind, of
// whom one alone would be held to its share of requests, and with a scrape a second, where Prometheus makes one in fifteen.
func (c *comparison) guarded(ctx context.Context) error {
	const users = 5
	uids, names := strangers(users)
	if os.Geteuid() != 0 || len(uids) < users {
		return errors.New("only root can ask as other users")
	}
	bare, err := c.newState(ctx, "bare", 10_000, "")
	if err != nil {
		return err
	}
	defer bare.close()
	full, err := c.newState(ctx, "full", 10_000, "", "-key", c.path("key"))
	if err != nil {
		return err
	}
	defer full.close()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	tables := []string{fmt.Sprintf("\n[http]\nlisten = %q\n", address)}
	for _, patterns := range []string{`"work/*", "official_account/*/jsapi_ticket"`, `"mini_program/*"`, `"open_platform/*/access_token"`} {
		tables = append(tables, fmt.Sprintf("\n[[access]]\nusers = [%s]\nnames = [%s]\nverbs = [\"GET\", \"REJECT\"]\n", strings.Join(names, ", "), patterns))
	}
	if err := errors.Join(bare.open(""), full.open(strings.Join(tables, ""))); err != nil {
		return err
	}
	var all []contender
	for name, s := range map[string]*state{"bare": bare, "guarded": full} {
		p, err := c.serve(s)
		if err != nil {
			return err
		}
		defer p.stop()
		all = append(all, contender{name, "tokend", p})
	}
	loads := []load{
		{"50", []string{"--connections", "10"}},
		{"connect50", []string{"--connections", "10", "--connect"}},
	}
	// A file of names that every user can read.
	if err := os.Chmod(bare.names, 0o644); err != nil {
		return err
	}
	// While the other one has its turn, too: what scrapes cost shows in the CPU, which is counted for each process by itself.
	stop := scrape(ctx, "http://"+address+"/metrics")
	r, err := c.turns(ctx, pick(c, 7, 3), pick(c, "1", "0.7"), bare, all, loads, uids)
	scrapes, failed := stop()
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	lost := func(figure, load string) {
		c.rows.atMost("rules, sealing, metrics: "+figure, 100*(1-r.ratio(load, "guarded", "bare", rate)), 10, 3, " %",
			fmt.Sprintf("%d users, %d scrapes; %.0fk/s instead of %.0fk/s", users, scrapes, r.middle(load, "guarded", rate)/1000, r.middle(load, "bare", rate)/1000))
	}
	lost("throughput lost, 50 connections", "50")
	c.rows.atMost("rules, sealing, metrics: CPU a request added", 100*(r.ratio("50", "guarded", "bare", cpu)-1), 10, 3, " %",
		fmt.Sprintf("%.2f us instead of %.2f us", r.middle("50", "guarded", cpu), r.middle("50", "bare", cpu)))
	lost("connect, GET, close lost", "connect50")
	return nil
}

// scrape scrapes once a second until it is stopped, which returns how often it was and what went wrong, if anything has.
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
