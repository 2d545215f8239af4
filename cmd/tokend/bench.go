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
		Short: "Measure reads of the daemon, Redis or memcached",
		Long: `Send GET requests as fast as the server answers them, or at a fixed --rate, and print the rate
of replies and their latencies. Names are chosen at random. A NAME may contain a range, {1-500} or
{001-500}, which stands for 500 names.

Each request is an ordinary GET: it counts as use of the credential and causes a fetch if there is
no valid value. The daemon's limits for a user apply, but not to root. No other request is sent,
and no value is printed.

Each of the --connections sends its next request, or its next --pipeline requests, after the
previous replies. With --rate, requests are due at fixed times and latencies count from those times,
so a stalled server shows in the latencies. With --connect, each request opens a connection, as PHP
does, and latencies include connecting.

With --target and --socket, the names are read as keys from Redis or memcached, which must contain
them. The command also prints its own CPU time. If it uses a whole core for each of the --threads,
it measured itself and not the server.`,
		Example: `  tokend bench official_account/wx0123456789abcdef/access_token
  tokend bench --connect --seconds 5 'open_platform/wxcomponent/wx{0001-5000}/access_token'
  tokend list | awk '$2 == "fresh" { print $1 }' | tokend bench --names - --rate 20000 --json
  tokend bench --target redis --socket /run/redis/redis.sock --pipeline 16 some:key`,
		ValidArgsFunction: b.names,
		RunE:              b.run,
	}
	f := cmd.Flags()
	f.StringVar(&b.socket, "socket", "", "the server's `PATH` (default, of a daemon: $TOKEND_SOCKET, then "+clientlib.DefaultSocket+")")
	f.StringVar(&b.target, "target", generator.Tokend.String(), "the `SERVER` to measure: tokend, redis or memcached")
	f.StringVar(&b.file, "names", "", "read more names from `FILE`, one per line; - is standard input")
	f.IntVar(&b.plan.Connections, "connections", 50, "number of connections")
	f.IntVar(&b.plan.Batch, "pipeline", 1, "requests that a connection sends together")
	f.BoolVar(&b.plan.Reconnect, "connect", false, "open a connection for each request")
	f.Float64Var(&b.seconds, "seconds", 10, "duration of the run")
	f.Int64Var(&b.plan.Count, "requests", 0, "end after this number of requests instead of --seconds")
	f.Float64Var(&b.plan.Rate, "rate", 0, "requests due per second (default: as fast as the server answers)")
	f.DurationVar(&b.plan.WarmUp, "warm-up", 0, "duration of requests before the measurement")
	f.IntVar(&b.plan.Threads, "threads", 1, "number of threads")
	f.DurationVar(&b.timeout, "timeout", 5*time.Second, "limit for waiting on a reply")
	f.BoolVar(&b.json, "json", false, "print a JSON object")
	_ = cmd.MarkFlagFilename("names") // fails only for an unknown flag
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

// prepare completes the plan.
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
			return wrong("--%s must be at least 1", name)
		}
	}
	set := cmd.Flags().Changed
	switch {
	case set("requests") && p.Count < 1:
		return wrong("--requests must be at least 1")
	case set("rate") && !(p.Rate > 0 && p.Rate <= generator.MaxRate):
		return wrong("--rate must be positive, and at most %.0e", generator.MaxRate)
	case !(b.seconds > 0 && b.seconds <= float64(math.MaxInt64/time.Second)/2):
		return wrong("--seconds must be positive")
	case b.timeout <= 0 || p.WarmUp < 0:
		return wrong("--timeout must be positive, and --warm-up must not be negative")
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

// stopped explains the error that ended a run early, for the server that was measured.
func (b *bench) stopped(err error) error {
	foreign := b.plan.Dialect != generator.Tokend
	switch {
	case errors.Is(err, generator.ErrTimeout):
		err = context.DeadlineExceeded
	case errors.Is(err, generator.ErrForeign):
		return &hintedError{err, "--target selects the expected protocol"}
	case errors.Is(err, generator.ErrConnect) && !errors.Is(err, fs.ErrPermission) && foreign:
		return &hintedError{&noServerError{b.target, b.plan.Socket}, "start it with unixsocket (redis) or -s (memcached), and give its socket with --socket"}
	case errors.Is(err, generator.ErrConnect) && !errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: %w", clientlib.ErrNoDaemon, err)
	}
	return &askError{err, b.plan.Socket, b.timeout}
}

// noServerError reports that no Redis or memcached listens.
type noServerError struct{ target, path string }

func (e *noServerError) Error() string { return "no " + e.target + " at " + e.path }
func (e *noServerError) Unwrap() error { return clientlib.ErrNoDaemon }

// refused returns an error if requests were refused or lost. If every request got the same error
// reply, it returns that error.
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
	return fmt.Errorf("%d of %d requests were refused, lost or not sent", failed, r.Replies+r.Lost+r.Unsent)
}
