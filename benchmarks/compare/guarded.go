//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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

// guarded measures what access rules, sealing and HTTP cost: with users whom the rules bind, of
// whom one alone would be held to its share of requests.
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
	r, err := c.turns(ctx, pick(c, 7, 3), pick(c, "1", "0.7"), bare, all, loads, uids)
	if err != nil {
		return err
	}
	lost := func(figure, load string) {
		c.rows.atMost("rules, sealing, HTTP: "+figure, 100*(1-r.ratio(load, "guarded", "bare", rate)), 10, 3, " %",
			fmt.Sprintf("%d users; %.0fk/s instead of %.0fk/s", users, r.middle(load, "guarded", rate)/1000, r.middle(load, "bare", rate)/1000))
	}
	lost("throughput lost, 50 connections", "50")
	c.rows.atMost("rules, sealing, HTTP: CPU a request added", 100*(r.ratio("50", "guarded", "bare", cpu)-1), 10, 3, " %",
		fmt.Sprintf("%.2f us instead of %.2f us", r.middle("50", "guarded", cpu), r.middle("50", "bare", cpu)))
	lost("connect, GET, close lost", "connect50")
	return nil
}
