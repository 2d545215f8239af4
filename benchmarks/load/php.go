//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"tokend/benchmarks/generator"
	"tokend/benchmarks/rig"
)

const (
	// workers is the number of concurrent PHP processes.
	workers = 8

	// views is the program of a worker. Its arguments are the kind of the server, its socket, a
	// name and a number of seconds.
	views = "benchmarks/load/views.php"
)

// The bounds of the ratio of page views with tokend to page views with Redis.
const leastViews, aimViews = 1.0, 1.1

var (
	errNoPHP      = errors.New("php is not installed (Debian: apt install php-cli)")
	errNoPHPRedis = errors.New("php has no extension redis (Debian: apt install php-redis)")
)

// php measures page views of PHP workers. Each view opens a connection, as PHP-FPM does without
// persistent connections. With tokend a view reads a token and rejects another value. With Redis it
// reads a value twice.
func (l *load) php(ctx context.Context) error {
	php, err := exec.LookPath("php")
	if err != nil {
		return errNoPHP
	}
	if exec.CommandContext(ctx, php, "-r", "exit((int) !extension_loaded('redis'));").Run() != nil {
		return errNoPHPRedis
	}
	l.FindCaches()
	redis, err := l.StartRedis("redis", "--appendonly", "no")
	if err != nil {
		return err
	}
	defer redis.Stop()
	all, stop, err := l.launch(ctx, "php", world{customers: workers})
	if err != nil {
		return err
	}
	defer stop()
	if err := rig.FillCache(ctx, generator.Redis, redis, all[0].state); err != nil {
		return err
	}
	var sites []site
	for i, d := range all {
		sites = append(sites, site{name: l.sides[i].name, kind: "tokend", daemon: d})
	}
	sites = append(sites, site{name: "redis", kind: "redis", daemon: daemon{Process: redis, state: all[0].state}})
	err = l.inRounds(len(sites), func(at int) error {
		n, err := l.view(ctx, php, sites[at])
		sites[at].rates = append(sites[at].rates, n)
		return err
	})
	if err != nil {
		return err
	}
	theirs := sites[len(sites)-1].rates
	var reached, notes []string
	over := func(s site) float64 {
		var ratios []float64
		for round, n := range s.rates {
			ratios = append(ratios, n/theirs[round])
		}
		return rig.Median(ratios)
	}
	for _, s := range sites[:len(sites)-1] {
		reached = append(reached, fmt.Sprintf("%s %.2fx", s.name, over(s)))
	}
	for _, s := range sites {
		notes = append(notes, fmt.Sprintf("%s %.0f/s", s.name, rig.Median(slices.Clone(s.rates))))
	}
	l.Rows.AtLeast(fmt.Sprintf("page views of %d PHP workers, GET and REJECT, over two GETs of phpredis", workers),
		over(sites[0]), leastViews, aimViews, "x", strings.Join(append(reached, notes...), "; "))
	return nil
}

// site is a server that page views use.
type site struct {
	name, kind string
	daemon     daemon
	rates      []float64 // views per second, one figure per round
}

// view runs all workers and returns their page views per second. The workers use both processors,
// as on a web server.
func (l *load) view(ctx context.Context, php string, s site) (float64, error) {
	seconds, err := strconv.ParseFloat(l.seconds, 64)
	if err != nil {
		return 0, err
	}
	names, err := namesOf(s.daemon)
	if err != nil {
		return 0, err
	}
	l.Calm.Look()
	var said [workers]bytes.Buffer
	var running []*exec.Cmd
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err = rig.Affinity(rig.ServerCore, rig.LoadCore); err == nil {
		for i := range said {
			cmd := exec.CommandContext(ctx, php, views, s.kind, s.daemon.Socket, names[i], l.seconds)
			cmd.Stdout, cmd.Stderr = &said[i], &said[i]
			if err = cmd.Start(); err != nil {
				break
			}
			running = append(running, cmd)
		}
	}
	err = errors.Join(err, rig.Affinity(rig.LoadCore))
	total := 0
	for i, cmd := range running {
		failed := cmd.Wait()
		n, wrong := strconv.Atoi(strings.TrimSpace(said[i].String()))
		if failed = errors.Join(failed, wrong); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w: %.200s", views, failed, said[i].String()))
		}
		total += n
	}
	return float64(total) / seconds, err
}
