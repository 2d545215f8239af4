package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

// errUsage reports invalid flags.
var errUsage = errors.New("wrong usage, see -help")

// options are the flags.
type options struct {
	state, config, socket string
	key, upstream, serve  string
	n, used, size         int
	accounts, listed      int
	due, over             time.Duration
	latency               time.Duration
	names                 bool
}

func (o *options) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("fill", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.state, "state", "", "the state `directory` to create")
	f.StringVar(&o.config, "config", "", "the configuration `file` to write")
	f.StringVar(&o.socket, "socket", "", "the socket's `path` in it (default: tokend.sock in the same directory)")
	f.StringVar(&o.key, "key", "", "seal the store with the encryption key in `file`: 64 hex digits; the file is created if it does not exist")
	f.IntVar(&o.n, "n", 100_000, "number of customers, each with a grant")
	f.IntVar(&o.used, "used", -1, "number of customers with an access token (default: all)")
	f.IntVar(&o.accounts, "accounts", 0, "number of official accounts, each with an access token")
	f.IntVar(&o.listed, "listed", 0, "with -serve: number of further customers in WeChat's list, without grants in the state")
	f.IntVar(&o.size, "size", 512, "size of a token in bytes")
	f.DurationVar(&o.due, "due", 2*time.Hour, "time until the first token expires; at most 2h")
	f.DurationVar(&o.over, "over", 0, "time between the expiry of the first and the last token")
	f.StringVar(&o.upstream, "upstream", "http://127.0.0.1:1", "the `URL` of WeChat in the configuration")
	f.StringVar(&o.serve, "serve", "", "then run that WeChat at `host:port`")
	f.DurationVar(&o.latency, "latency", 0, "delay of each answer")
	f.BoolVar(&o.names, "names", false, "print the tokens' names, one per line")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage // the flag set has printed the reason
	}
	if o.used < 0 {
		o.used = o.n
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	case o.state == "" || o.config == "":
		return fmt.Errorf("%w: -state and -config are needed", errUsage)
	case o.accounts < 0 || o.listed < 0:
		return fmt.Errorf("%w: -accounts and -listed must not be negative", errUsage)
	case o.n < 0 || o.used > o.n:
		return fmt.Errorf("%w: -n must not be negative, and -used must be at most -n", errUsage)
	case o.size < minSize || o.size > maxSize:
		return fmt.Errorf("%w: -size must be %d to %d", errUsage, minSize, maxSize)
	case o.due <= 0 || o.over < 0 || o.due+o.over > life:
		return fmt.Errorf("%w: tokens must expire within %s: see -due and -over", errUsage, life)
	}
	return o.paths()
}

// paths makes the paths absolute, as the configuration requires.
func (o *options) paths() error {
	if o.socket == "" {
		o.socket = filepath.Join(filepath.Dir(o.config), "tokend.sock")
	}
	for _, p := range []*string{&o.state, &o.config, &o.socket, &o.key} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	began := time.Now()
	signals, stop := orders() // before other programs can know that this one runs
	defer stop()
	w, err := newWorld(&o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.fill(ctx, &o); err != nil {
		return err
	}
	if err := w.configure(&o); err != nil {
		return err
	}
	if o.names {
		out := bufio.NewWriter(stdout)
		for i := range o.used {
			fmt.Fprintln(out, tokenName(i))
		}
		for i := range o.accounts {
			fmt.Fprintln(out, accountToken(i))
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(stderr, "fill: %d customers, %d tokens of %d bytes in %s; tokend serve --config %s\n",
		o.n, o.used, o.size, time.Since(began).Round(time.Millisecond), o.config)
	if o.serve != "" {
		w.serve(ctx, signals)
		fmt.Fprintf(stderr, "fill: %s\n", w.meter)
	}
	return nil
}
