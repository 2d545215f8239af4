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
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// scenario is one measurement. It adds its results to the rows.
type scenario struct {
	name  string
	about string
	run   func(*load, context.Context) error
}

var scenarios = []scenario{
	{"calm", "reads without other work", (*load).calm},
	{"watch", "reads beside 20 first WATCHes of 140 000 names", (*load).watch},
	{"list", "reads beside a LIST of 140 000 names each second", (*load).list},
	{"scrape", "reads beside a scrape of 10 000 accounts each second", (*load).scrape},
	{"metrics", "the cost of a scrape of 10 000 accounts", (*load).metrics},
	{"memory", "memory a minute after 10 000 fetches", (*load).memory},
	{"import", "reads beside an import of customers", (*load).imports},
	{"reload", "reads beside reloads of 10 000 accounts", (*load).reload},
	{"scale", "reloads of 30 000 accounts and of 10 000", (*load).scale},
	{"put", "reads beside 64 connections that write", (*load).put},
	{"connect", "reads beside connections for one request each", (*load).connect},
	{"rows", "reads at full speed, beside those of -before", (*load).rows},
	{"reject", "the cost of a REJECT of a stale value, relative to a hit", (*load).reject},
	{"php", "page views of 8 PHP workers, beside phpredis", (*load).php},
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
	only := f.String("only", "", "a `list`, with commas, of the scenarios to run: "+names())
	before := f.String("before", "", "another tokend `binary`, measured alternately with the tokend of this source")
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
	if l.Dir, err = os.MkdirTemp("", "load"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.Dir)) }()
	if err := l.Build(ctx); err != nil {
		return err
	}
	l.rounds, l.seconds = rig.Pick(&l.Rig, 5, 2), rig.Pick(&l.Rig, "4", "2")
	l.sides = []side{{"tokend", l.Tokend}}
	if *before != "" {
		l.sides = append(l.sides, side{"before", *before})
	}
	began := time.Now()
	fmt.Fprintf(stdout, "%s\n\n", strings.Join(rig.Machine(""), "\n"))
	for _, s := range wanted {
		fmt.Fprintf(stderr, "%s: %s\n", s.name, s.about)
		begun := time.Now()
		if err := l.measure(ctx, s); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l.Rows.Missing(s.name, err)
		}
		fmt.Fprintf(stderr, "%s: %s\n", s.name, time.Since(begun).Round(time.Second))
	}
	if err := l.Rows.Print(stdout); err != nil {
		return err
	}
	if calm := l.Calm.String(); calm != "" {
		fmt.Fprintf(stdout, "\n%s\n", calm)
	}
	fmt.Fprintf(stdout, "\n%s in all\n", time.Since(began).Round(time.Second))
	return nil
}

// longest is the time limit of a scenario.
const longest = 10 * time.Minute

func (l *load) measure(ctx context.Context, s scenario) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return s.run(l, ctx)
}

func names() string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return strings.Join(all, ", ")
}

// choose returns the scenarios of a list; all for an empty one.
func choose(list string) (chosen []scenario, err error) {
	if list == "" {
		return scenarios, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q; scenarios: %s", name, names())
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}
