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
	"strings"
	"syscall"

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

var parts = []rig.Scenario[*comparison]{
	{Name: "socket", About: "throughput, latency and CPU on the socket, with Redis and the echo", Run: (*comparison).socket},
	{Name: "few", About: "throughput of 4, 8 and 16 connections, also with memcached", Run: (*comparison).few},
	{Name: "guarded", About: "the same with access rules, sealing and metrics", Run: (*comparison).guarded},
	{Name: "apart", About: "access rules, sealing and metrics, each alone", Run: (*comparison).apart, Named: true},
	{Name: "memory", About: "memory, start and idle load, by number of credentials", Run: (*comparison).memory},
	{Name: "writers", About: "64 durable writers", Run: (*comparison).writers},
	{Name: "disk", About: "disk space after twenty rewrites", Run: (*comparison).disk},
	{Name: "million", About: "latency with many credentials during their refreshes", Run: (*comparison).million},
	{Name: "outage", About: "10 000 refreshes due in one minute after an outage", Run: (*comparison).outage},
	{Name: "allocations", About: "allocations of a hit", Run: (*comparison).allocations},
	{Name: "plots", About: "throughput and latency by number of connections", Run: (*comparison).byConnections},
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
	only := f.String("only", "", "a comma-separated `list` of the parts to run: "+rig.Names(parts))
	out := f.String("out", "", "write the results to `FILE`, the input of benchmarks/plot")
	if err := f.Parse(args); err != nil {
		return err
	}
	wanted, err := rig.Choose(parts, *only)
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
	c.data.Machine = rig.Machine(c.Redis)
	c.data.Quick = c.Quick
	fmt.Fprintf(stdout, "%s\n\n", strings.Join(c.data.Machine, "\n"))
	if err := rig.Measure(ctx, &c.Rig, c, wanted, stdout, stderr); err != nil {
		return err
	}
	if *out != "" {
		c.data.Rows, c.data.Calm = c.Rows, c.Calm.String()
		return c.data.write(*out)
	}
	return nil
}
