//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// openPages is the number of status pages that are open at once. Each shows 200 of 20 000 accounts.
const openPages = 10

// pages keeps status pages open, with twenty changes a second.
func (l *load) pages(ctx context.Context) error {
	w := world{accounts: 20_000, listed: 1, http: true}
	return l.beside(ctx, "pages", fmt.Sprintf("%d open status pages of %d accounts", openPages, w.accounts), w, followPages)
}

// followPages opens pages and refreshes credentials until ctx ends. It returns the number of
// updates of all pages.
func followPages(ctx context.Context, d daemon) (updates int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for range openPages {
		all.Go(func() {
			n, failed := followPage(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			updates += n
			if failed != nil && ctx.Err() == nil {
				err = failed
				cancel()
			}
		})
	}
	names, failed := firstNames(d, "official_account/", 2000)
	if failed != nil {
		cancel()
		all.Wait()
		return updates, errors.Join(err, failed)
	}
	// Each refresh changes what the pages show. A forced refresh is allowed once in 30 s.
	for i := 0; ctx.Err() == nil; i++ {
		_, _ = ask(ctx, d, "REFRESH "+names[i%len(names)]+"\n", false)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	all.Wait()
	return updates, err
}

// firstNames returns the first n names under a prefix.
func firstNames(d daemon, prefix string, n int) (names []string, err error) {
	nc, err := net.Dial("unix", d.Socket)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if _, err := fmt.Fprintf(nc, "LIST %s\n", prefix); err != nil {
		return nil, err
	}
	lines, all := bufio.NewReader(nc), 0
	if _, err := fmt.Fscanf(lines, "OK %d\n", &all); err != nil || all == 0 {
		return nil, fmt.Errorf("LIST %s: %d names, %w", prefix, all, err)
	}
	for range min(n, all) {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names, nil
}

// followPage requests a page as a browser does, then its events until ctx ends, and returns the
// number of updates, including the page itself.
func followPage(ctx context.Context, d daemon) (updates int, err error) {
	nc, err := net.Dial("tcp", d.monitor)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	for _, path := range []string{"/?family=official_account", "/events?family=official_account"} {
		if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n", path, d.monitor); err != nil {
			return 0, err
		}
		b := make([]byte, 64<<10)
		n, err := io.ReadAtLeast(nc, b, 16)
		if err != nil {
			return 0, err
		}
		if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
			return 0, fmt.Errorf("%s: got %.32q", path, b[:n])
		}
		if strings.HasPrefix(path, "/?") {
			time.Sleep(200 * time.Millisecond) // the rest of the page
			_ = nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, _ = io.Copy(io.Discard, nc)
			_ = nc.SetReadDeadline(time.Time{})
		}
	}
	b := make([]byte, 64<<10)
	for updates = 1; ; {
		n, err := nc.Read(b)
		updates += strings.Count(string(b[:n]), "data: ")
		if err != nil {
			return updates, nil // ctx has ended
		}
	}
}
