//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"tokend/benchmarks/rig"
)

// crowd is a platform with 140 000 names: a token and a grant of each customer.
var crowd = world{customers: 70_000}

// watchers is the number of clients that start to watch at once, as after a restart of all clients.
const watchers = 20

// watch makes clients read the initial list of a WATCH, all at once, repeatedly.
func (l *load) watch(ctx context.Context) error {
	return l.beside(ctx, "watch", fmt.Sprintf("%d first WATCHes of %d names at once", watchers, 2*crowd.customers), crowd,
		func(ctx context.Context, d daemon) (times int, err error) {
			one := counted(0, watchOnce)
			var mu sync.Mutex // guards times and err
			var all sync.WaitGroup
			for range watchers {
				all.Go(func() {
					n, failed := one(ctx, d)
					mu.Lock()
					defer mu.Unlock()
					times, err = times+n, errors.Join(err, failed)
				})
			}
			all.Wait()
			return times, err
		})
}

func watchOnce(ctx context.Context, d daemon) error {
	_, err := ask(ctx, d, "WATCH open_platform/\n", true)
	return err
}

// list makes one client list everything once per second.
func (l *load) list(ctx context.Context) error {
	return l.beside(ctx, "list", fmt.Sprintf("LIST of %d names each second", 2*crowd.customers), crowd,
		counted(time.Second, listOnce))
}

func listOnce(ctx context.Context, d daemon) error {
	_, err := ask(ctx, d, "LIST\n", true)
	return err
}

// counted returns a disturbance that calls do once per span, at a low priority. A span of zero
// means without pauses.
func counted(span time.Duration, do func(ctx context.Context, d daemon) error) disturbance {
	return func(ctx context.Context, d daemon) (times int, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			rig.Gently(func() {
				err = repeat(ctx, span, func() error {
					err := do(ctx, d)
					if err == nil {
						times++
					}
					return err
				})
			})
		}()
		<-done
		return times, err
	}
}

// repeat calls do once per span until ctx ends.
func repeat(ctx context.Context, span time.Duration, do func() error) error {
	for ctx.Err() == nil {
		next := time.After(span)
		if err := do(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
		}
	}
	return nil
}

// ask sends a request over a new connection, reads the reply, and returns its first line. If lines
// is set, the first line contains the number of lines that follow.
func ask(ctx context.Context, d daemon, request string, lines bool) (first string, err error) {
	nc, err := net.Dial("unix", d.Socket)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err := nc.Write([]byte(request)); err != nil {
		return "", err
	}
	b := make([]byte, 64<<10)
	var begin []byte
	for left := 1; left > 0; {
		n, err := nc.Read(b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.TrimSpace(request), err)
		}
		left -= bytes.Count(b[:n], []byte("\n"))
		if first != "" {
			continue
		}
		begin = append(begin, b[:n]...)
		line, _, whole := bytes.Cut(begin, []byte("\n"))
		if !whole {
			continue
		}
		first = string(line)
		count, ok := strings.CutPrefix(first, "OK")
		if !ok {
			return first, fmt.Errorf("%s: answered %q", strings.TrimSpace(request), first)
		}
		if lines {
			more, err := strconv.Atoi(strings.TrimSpace(count))
			if err != nil {
				return first, fmt.Errorf("%s: answered %q", strings.TrimSpace(request), first)
			}
			left += more
		}
	}
	return first, nil
}
