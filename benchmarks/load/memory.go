//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"tokend/benchmarks/rig"

	"golang.org/x/sync/errgroup"
)

const (
	// fetched is the number of credentials that are fetched in a burst. latency is that of the real
	// WeChat. calmAfter is the pause before memory is measured, after the burst and after a
	// restart.
	fetched   = 10_000
	latency   = "100ms"
	calmAfter = time.Minute

	// The bounds of the ratio of the memory after a burst to the memory after a restart.
	mostKept, aimKept = 1.3, 1.2

	// mostScrape and aimScrape are the bounds of the processor time of a scrape, in milliseconds.
	mostScrape, aimScrape = 50, 40
)

// memory measures the memory after fetches of many credentials, of accounts and of customers.
func (l *load) memory(ctx context.Context) error {
	n := strconv.Itoa(fetched)
	if err := l.kept(ctx, "accounts", "official_account/", "-n", "1", "-accounts", n); err != nil || l.Quick {
		return err
	}
	return l.kept(ctx, "customers", "open_platform/", "-n", n, "-used", "1")
}

// kept measures the memory of daemons whose tokens have all expired: once after all tokens have
// been fetched, and once after a restart.
func (l *load) kept(ctx context.Context, what, prefix string, args ...string) error {
	states := make([]*rig.State, len(l.sides))
	for i, s := range l.sides {
		upstream, err := rig.FreeAddress()
		if err != nil {
			return err
		}
		args := append([]string{"-due", "1s", "-latency", latency}, args...)
		if states[i], err = l.NewState(ctx, "memory-"+what+"-"+s.name, 1, upstream, args...); err != nil {
			return err
		}
		defer states[i].Close()
	}
	time.Sleep(time.Second) // until all tokens have expired
	after, err := l.weigh(states, func(s *rig.State) error { return fetchAll(ctx, s.Socket, prefix) }, calmAfter)
	if err != nil {
		return err
	}
	restarted, err := l.weigh(states, func(*rig.State) error { return nil }, calmAfter)
	if err != nil {
		return err
	}
	var notes []string
	ratio := func(i int) float64 { return float64(after[i]) / float64(restarted[i]) }
	for i, s := range l.sides {
		notes = append(notes, fmt.Sprintf("%s %.2fx: %.1f MB, restarted %.1f", s.name, ratio(i), float64(after[i])/1e6, float64(restarted[i])/1e6))
	}
	l.Rows.AtMost(fmt.Sprintf("private memory %s after %d %s were fetched", calmAfter, fetched, what), ratio(0), mostKept, aimKept, "x", strings.Join(notes, "; "))
	return nil
}

// weigh starts a daemon of each side, calls do for each, and returns the memory of each after a
// pause.
func (l *load) weigh(states []*rig.State, do func(*rig.State) error, pause time.Duration) (private []int64, err error) {
	var all []*rig.Process
	defer func() {
		for _, p := range all {
			p.Stop()
		}
	}()
	for i, s := range states {
		p, err := rig.ServeBy(l.sides[i].program, s)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	var doing errgroup.Group
	for _, s := range states {
		doing.Go(func() error { return do(s) })
	}
	if err := doing.Wait(); err != nil {
		return nil, err
	}
	time.Sleep(pause)
	for _, p := range all {
		own, _ := p.Memory()
		private = append(private, own)
	}
	return private, nil
}

// fetchAll fetches the access tokens under prefix as fast as WeChat answers.
func fetchAll(ctx context.Context, socket, prefix string) error {
	names, err := tokensUnder(socket, prefix)
	if err != nil {
		return err
	}
	const clients = 16
	group, ctx := errgroup.WithContext(ctx)
	for i := range clients {
		group.Go(func() error {
			nc, err := net.Dial("unix", socket)
			if err != nil {
				return err
			}
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { nc.Close() })()
			r := bufio.NewReader(nc)
			for ; i < len(names); i += clients {
				if _, err := fmt.Fprintf(nc, "GET %s\n", names[i]); err != nil {
					return err
				}
				if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK ") {
					return fmt.Errorf("%s: %.100q, %w", names[i], line, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// tokensUnder returns the names of the access tokens under prefix. It includes customers that have
// a grant and no token yet.
func tokensUnder(socket, prefix string) ([]string, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if _, err := fmt.Fprintf(nc, "LIST %s\n", prefix); err != nil {
		return nil, err
	}
	r := bufio.NewReader(nc)
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "OK ")))
	if err != nil {
		return nil, fmt.Errorf("LIST: got %q", line)
	}
	seen := map[string]bool{}
	var names []string
	for range n {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(line, " ")
		if customer, ok := strings.CutSuffix(name, "/refresh_token"); ok {
			name = customer + "/access_token"
		}
		if strings.HasSuffix(name, "/access_token") && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// metrics measures the processor time and the allocations of a scrape.
func (l *load) metrics(ctx context.Context) error {
	all, stop, err := l.launch(ctx, "metrics", accounts)
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(settle)
	used, made := make([][]float64, len(all)), make([][]float64, len(all))
	for range 2 * l.rounds {
		for i, d := range all {
			before, err := allocated(ctx, d)
			if err != nil {
				return fmt.Errorf("%s: %w", l.sides[i].name, err)
			}
			began := d.CPU()
			after, err := allocated(ctx, d)
			if err != nil {
				return fmt.Errorf("%s: %w", l.sides[i].name, err)
			}
			used[i] = append(used[i], float64(d.CPU()-began)/float64(time.Millisecond))
			made[i] = append(made[i], after-before)
			time.Sleep(100 * time.Millisecond) // tokend limits its look-ups of scraping users
		}
	}
	var times, sizes []string
	for i, s := range l.sides {
		times = append(times, fmt.Sprintf("%s %.0f ms", s.name, rig.Median(used[i])))
		sizes = append(sizes, fmt.Sprintf("%s %.2f MB", s.name, rig.Median(made[i])/1e6))
	}
	what := fmt.Sprintf("a scrape of %d accounts", accounts.accounts)
	l.Rows.AtMost("processor time of "+what, rig.Median(used[0]), mostScrape, aimScrape, " ms", strings.Join(times, "; "))
	l.Rows.AtMost("memory allocated by "+what, rig.Median(made[0])/1e6, 1, 0.5, " MB", strings.Join(sizes, "; "))
	return nil
}

// allocated scrapes d and returns the bytes that d has allocated since its start. It retries while
// d answers 503.
func allocated(ctx context.Context, d daemon) (n float64, err error) {
	for range 10 {
		if n, err = allocatedOnce(ctx, d); !errors.Is(err, errBusy) {
			break
		}
		time.Sleep(time.Second)
	}
	return n, err
}

var errBusy = errors.New("scrape: got 503")

func allocatedOnce(ctx context.Context, d daemon) (float64, error) {
	nc, err := net.Dial("tcp", d.monitor)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err := fmt.Fprintf(nc, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", d.monitor); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(nc, 256<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("scrape without go_memstats_alloc_bytes_total: %w", err)
		}
		if strings.HasPrefix(line, "HTTP/1.1 503 ") {
			return 0, errBusy
		}
		text, ok := strings.CutPrefix(line, "go_memstats_alloc_bytes_total ")
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		return n, err
	}
}
