package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/spf13/cobra"

	"tokend/benchmarks/generator"
	"tokend/clientlib"
	"tokend/protocol"
)

func newBench(env *environment) *cobra.Command {
	b := &bench{asker: asker{env: env}}
	cmd := &cobra.Command{
		Use:   "bench NAME...",
		Short: "Measure how fast the daemon answers, or Redis, or memcached",
		Long: `Ask for credentials as fast as they are answered, or at a --rate, and print how many answers came a
second and how long they took. Names are picked at random. A NAME may have a range in it, {1-500} or
{001-500}, and then stands for as many.

Each request is a GET like any other: it counts as use of the credential, and one that has no valid value
is fetched. What the daemon allows one user holds; root is not bound. Nothing but that is asked,
and no value is shown.

Each of the --connections sends its next request, or as many as --pipeline says, when the last has been
answered. With a --rate, requests are due at fixed moments instead, and latencies count from those, so
that a server which stands still shows it. With --connect each request has a connection of its own, as
in PHP; latencies include connecting.

Redis and memcached, by --target and --socket, are asked for the names as keys; what is to be found
there has to be put there before. What this command itself used of a core is printed too: where that is all
of one for each of the --threads, it was not the server that was measured.`,
		Example: `  tokend bench official_account/wx0123456789abcdef/access_token
  tokend bench --connect --seconds 5 'open_platform/wxcomponent/wx{0001-5000}/access_token'
  tokend list | awk '$2 == "fresh" { print $1 }' | tokend bench --names - --rate 20000 --json
  tokend bench --target redis --socket /run/redis/redis.sock --pipeline 16 some:key`,
		ValidArgsFunction: b.names,
		RunE:              b.run,
	}
	f := cmd.Flags()
	f.StringVar(&b.socket, "socket", "", "the server's `PATH` (default, of a daemon: $TOKEND_SOCKET, then "+clientlib.DefaultSocket+")")
	f.StringVar(&b.target, "target", generator.Tokend.String(), "`WHAT` is asked: tokend, redis or memcached")
	f.StringVar(&b.file, "names", "", "read further names from `FILE`, one in each line; - is standard input")
	f.IntVar(&b.plan.Connections, "connections", 50, "how many connections there are at once")
	f.IntVar(&b.plan.Batch, "pipeline", 1, "how many requests a connection sends together")
	f.BoolVar(&b.plan.Reconnect, "connect", false, "make a connection for each request")
	f.Float64Var(&b.seconds, "seconds", 10, "how long to ask")
	f.Int64Var(&b.plan.Count, "requests", 0, "end after so many requests, and not by time")
	f.Float64Var(&b.plan.Rate, "rate", 0, "how many requests are due a second (default as many as are answered)")
	f.DurationVar(&b.plan.WarmUp, "warm-up", 0, "how long to ask before anything counts")
	f.IntVar(&b.plan.Threads, "threads", 1, "how many threads ask")
	f.DurationVar(&b.timeout, "timeout", 5*time.Second, "how long nothing may come while something is awaited")
	f.BoolVar(&b.json, "json", false, "print a JSON object")
	_ = cmd.MarkFlagFilename("names") // it errs on an unknown flag only
	return cmd
}

// bench is one run of the load generator.
type bench struct {
	asker
	target  string
	file    string
	seconds float64
	json    bool
	plan    generator.Plan
}

func (b *bench) run(cmd *cobra.Command, args []string) error {
	if err := b.prepare(cmd, args); err != nil {
		return err
	}
	result, err := generator.Run(cmd.Context(), b.plan)
	if result != nil && result.Replies > 0 {
		if err := b.print(result); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return b.stopped(err)
	case cmd.Context().Err() != nil:
		return b.failed(context.Canceled)
	}
	return refused(result)
}

// prepare makes the plan.
func (b *bench) prepare(cmd *cobra.Command, args []string) error {
	wrong := func(format string, args ...any) error {
		return &usageError{text: "bench: " + fmt.Sprintf(format, args...), command: cmd}
	}
	p := &b.plan
	var known bool
	if p.Dialect, known = generator.ParseDialect(b.target); !known {
		return wrong("--target is tokend, redis or memcached, not %q", b.target)
	}
	if p.Dialect != generator.Tokend && b.socket == "" {
		return wrong("--target %s needs a --socket", b.target)
	}
	for name, n := range map[string]int{"connections": p.Connections, "pipeline": p.Batch, "threads": p.Threads} {
		if n < 1 {
			return wrong("--%s must be 1 at least", name)
		}
	}
	set := cmd.Flags().Changed
	switch {
	case set("requests") && p.Count < 1:
		return wrong("--requests must be 1 at least")
	case set("rate") && !(p.Rate > 0 && p.Rate <= generator.MaxRate):
		return wrong("--rate must be more than nothing, and %.0e at most", generator.MaxRate)
	case !(b.seconds > 0 && b.seconds <= float64(math.MaxInt64/time.Second)/2):
		return wrong("--seconds must be more than nothing")
	case b.timeout <= 0 || p.WarmUp < 0:
		return wrong("--timeout must be more than nothing, and --warm-up not negative")
	case set("requests") && set("seconds"):
		return wrong("--requests and --seconds exclude each other")
	case !set("requests"):
		p.Duration = time.Duration(b.seconds * float64(time.Second))
	}
	p.Timeout = b.timeout
	if p.Socket = b.socket; p.Socket == "" {
		p.Socket = b.path()
	}
	names, err := benchNames(b.env, b.file, args)
	if err != nil {
		return wrong("%v", err)
	}
	if p.Requests, err = questions(p.Dialect, names); err != nil {
		return wrong("%v", err)
	}
	if err := p.Check(); err != nil {
		return wrong("%v", err)
	}
	return nil
}

// stopped returns why a run ended before its time, in words that fit who was asked.
func (b *bench) stopped(err error) error {
	foreign := b.plan.Dialect != generator.Tokend
	switch {
	case errors.Is(err, generator.ErrTimeout):
		err = context.DeadlineExceeded
	case errors.Is(err, generator.ErrForeign):
		return &hintedError{err, "--target says which language is expected"}
	case errors.Is(err, generator.ErrConnect) && !errors.Is(err, fs.ErrPermission) && foreign:
		return &hintedError{&noServerError{b.target, b.plan.Socket}, "start it with unixsocket (redis) or -s (memcached), and name its socket by --socket"}
	case errors.Is(err, generator.ErrConnect) && !errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: %w", clientlib.ErrNoDaemon, err)
	}
	return &askError{err, b.plan.Socket, b.timeout}
}

// noServerError says that no Redis or memcached listens.
type noServerError struct{ target, path string }

func (e *noServerError) Error() string { return "no " + e.target + " at " + e.path }
func (e *noServerError) Unwrap() error { return clientlib.ErrNoDaemon }

// refused returns an error where requests were refused or lost: with the refusal's own meaning if
// nothing else ever came.
func refused(r *generator.Result) error {
	failed := r.Failed()
	if failed == 0 {
		return nil
	}
	for why, n := range r.Refused {
		if code := protocol.Code(why); n == failed && n >= r.Replies && byCode[code] != 0 {
			return &protocol.Error{Code: code, RetryAfter: -1, Message: "every request was refused"}
		}
	}
	return fmt.Errorf("%d of %d requests were refused, lost or never sent", failed, r.Replies+r.Lost+r.Unsent)
}
