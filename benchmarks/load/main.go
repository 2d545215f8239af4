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
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

var scenarios = []rig.Scenario[*load]{
	{Name: "calm", About: "reads without other work", Run: (*load).calm},
	{Name: "watch", About: "reads beside 20 first WATCHes of 140 000 names", Run: (*load).watch},
	{Name: "list", About: "reads beside a LIST of 140 000 names each second", Run: (*load).list},
	{Name: "scrape", About: "reads beside a scrape of 10 000 accounts each second", Run: (*load).scrape},
	{Name: "pages", About: "reads beside 10 open status pages of 20 000 accounts", Run: (*load).pages},
	{Name: "metrics", About: "the cost of a scrape of 10 000 accounts", Run: (*load).metrics},
	{Name: "memory", About: "memory a minute after 10 000 fetches", Run: (*load).memory},
	{Name: "import", About: "reads beside an import of customers", Run: (*load).imports},
	{Name: "reload", About: "reads beside reloads of 10 000 accounts", Run: (*load).reload},
	{Name: "scale", About: "reloads of 30 000 accounts and of 10 000", Run: (*load).scale},
	{Name: "put", About: "reads beside 64 connections that write", Run: (*load).put},
	{Name: "connect", About: "reads beside connections for one request each", Run: (*load).connect},
	{Name: "rows", About: "reads at full speed, beside those of -before", Run: (*load).rows},
	{Name: "reject", About: "the cost of a REJECT of a stale value, relative to a hit", Run: (*load).reject},
	{Name: "php", About: "page views of 8 PHP workers, beside phpredis", Run: (*load).php},
}

// load is one run.
type load struct {
	rig.Rig
	stdout, stderr io.Writer

	sides   []side
	rounds  int
	seconds string // the length of a shot
}

// side is a tokend binary to be measured. The first is built from this source.
type side struct {
	name    string
	program string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	l := &load{stdout: stdout, stderr: stderr}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&l.Quick, "quick", false, "fewer and shorter rounds")
	only := f.String("only", "", "a `list`, with commas, of the scenarios to run: "+rig.Names(scenarios))
	before := f.String("before", "", "another tokend `binary`, measured alternately with the tokend of this source")
	if err := f.Parse(args); err != nil {
		return err
	}
	wanted, err := rig.Choose(scenarios, *only)
	if err != nil {
		return err
	}
	if err := rig.PinSelf(); err != nil {
		return err
	}
	if l.Dir, err = os.MkdirTemp("", "load"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.Dir)) }()
	if err := l.Build(ctx); err != nil {
		return err
	}
	l.rounds, l.seconds = rig.Pick(&l.Rig, 15, 7), rig.Pick(&l.Rig, "2", "1.2")
	l.sides = []side{{"tokend", l.Tokend}}
	if *before != "" {
		l.sides = append(l.sides, side{"before", *before})
	}
	fmt.Fprintf(stdout, "%s\n\n", strings.Join(rig.Machine(""), "\n"))
	return rig.Measure(ctx, &l.Rig, l, wanted, stdout, stderr)
}
