//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"tokend/benchmarks/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// part is one part of the measurement.
type part struct {
	name  string
	about string
	run   func(*comparison, context.Context) error

	// named excludes the part unless it is named: it breaks down the result of another part and is
	// not in the table.
	named bool
}

var parts = []part{
	{name: "socket", about: "throughput, latency and CPU on the socket, with Redis and the echo", run: (*comparison).socket},
	{name: "few", about: "throughput of 4, 8 and 16 connections, also with memcached", run: (*comparison).few},
	{name: "guarded", about: "the same with access rules, sealing and metrics", run: (*comparison).guarded},
	{name: "apart", about: "access rules, sealing and metrics, each alone", run: (*comparison).apart, named: true},
	{name: "memory", about: "memory, start and idle load, by number of credentials", run: (*comparison).memory},
	{name: "writers", about: "64 durable writers", run: (*comparison).writers},
	{name: "disk", about: "disk space after twenty rewrites", run: (*comparison).disk},
	{name: "million", about: "latency with many credentials during their refreshes", run: (*comparison).million},
	{name: "outage", about: "10 000 refreshes due in one minute after an outage", run: (*comparison).outage},
	{name: "allocations", about: "allocations of a hit", run: (*comparison).allocations},
	{name: "plots", about: "throughput and latency by number of connections", run: (*comparison).byConnections},
}

// comparison is one run of compare.
type comparison struct {
	rig.Rig
	stdout io.Writer
	stderr io.Writer

	data data

	echo string // a program; empty without a compiler
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c := &comparison{stdout: stdout, stderr: stderr}
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&c.Quick, "quick", false, "fewer turns, and a tenth of the credentials")
	only := f.String("only", "", "a comma-separated `list` of the parts to run: "+partNames())
	out := f.String("out", "", "write the results to `FILE`, the input of benchmarks/plot")
	if err := f.Parse(args); err != nil {
		return err
	}
	wanted, err := choose(*only)
	if err != nil {
		return err
	}
	if err := rig.PinSelf(); err != nil {
		return err
	}
	if c.Dir, err = os.MkdirTemp("", "cmp"); err != nil { // a short path for sockets
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	if err := os.Chmod(c.Dir, 0o755); err != nil { // other users must reach the sockets
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	began := time.Now()
	c.data.Machine = rig.Machine(c.Redis)
	c.data.Quick = c.Quick
	fmt.Fprintf(stdout, "%s\n\n", strings.Join(c.data.Machine, "\n"))
	for _, p := range wanted {
		fmt.Fprintf(stderr, "%s: %s\n", p.name, p.about)
		begun := time.Now()
		if err := c.measure(ctx, p); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			c.Rows.Missing(p.name, err)
		}
		fmt.Fprintf(stderr, "%s: %s\n", p.name, time.Since(begun).Round(time.Second))
	}
	c.data.Rows = c.Rows
	if err := c.Rows.Print(stdout); err != nil {
		return err
	}
	if c.data.Calm = c.Calm.String(); c.data.Calm != "" {
		fmt.Fprintf(stdout, "\n%s\n", c.data.Calm)
	}
	fmt.Fprintf(stdout, "\n%s in all\n", time.Since(began).Round(time.Second))
	if *out != "" {
		return c.data.write(*out)
	}
	return nil
}

// longest is the limit for a part: three times the longest, which fills a store with a million
// credentials. Results from a slower machine mean nothing.
const longest = 10 * time.Minute

func (c *comparison) measure(ctx context.Context, p part) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return p.run(c, ctx)
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// choose returns the parts in a list, or all parts except those with named set.
func choose(list string) ([]part, error) {
	if list == "" {
		return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.named }), nil
	}
	var chosen []part
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown part %q: the parts are %s", name, partNames())
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}
