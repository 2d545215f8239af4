package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(withSignals()) }

// withSignals runs the command line of the process. SIGINT and SIGTERM end its context, whose cause
// names the signal.
func withSignals() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}
