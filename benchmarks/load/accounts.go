//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// accounts is a configuration with many official accounts. A scrape has series for each account,
// and a reload compares each.
var accounts = world{accounts: 10_000, http: true}

// scrape scrapes once per second. Prometheus scrapes every 15 s.
func (l *load) scrape(ctx context.Context) error {
	return l.beside(ctx, "scrape", fmt.Sprintf("a scrape of %d accounts each second", accounts.accounts), accounts,
		counted(time.Second, scrapeOnce))
}

// scrapeOnce reads all metrics with a few system calls. The transport of net/http would use threads
// of normal priority.
func scrapeOnce(ctx context.Context, d daemon) error {
	nc, err := net.Dial("tcp", d.monitor)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err := fmt.Fprintf(nc, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", d.monitor); err != nil {
		return err
	}
	b := make([]byte, 256<<10)
	n, err := io.ReadFull(nc, b[:64])
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		return fmt.Errorf("scrape: got %.32q", b[:n])
	}
	for {
		if _, err := nc.Read(b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// reload reloads the configuration repeatedly, without pauses.
func (l *load) reload(ctx context.Context) error {
	return l.beside(ctx, "reload", fmt.Sprintf("reloads of %d accounts", accounts.accounts), accounts,
		counted(0, reloadOnce))
}

func reloadOnce(ctx context.Context, d daemon) error {
	_, err := ask(ctx, d, "RELOAD\n", false)
	return err
}
