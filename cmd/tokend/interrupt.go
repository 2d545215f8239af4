package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// interruptGrace is how long an interrupted command may take to end by itself.
const interruptGrace = time.Second

// interruptible makes cmd end when it is interrupted, even if it is blocked: for example, while it
// opens a FIFO, or writes to a pipe without a reader.
func interruptible(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := within(cmd.Context(), interruptGrace, func() (struct{}, error) { return struct{}{}, run(cmd, args) })
		return err
	}
}

// within returns f's result, or ctx's cause if f takes longer than grace after the end of ctx. A
// blocked system call cannot be canceled: it ends with the process. The goroutine of f is the only
// one here without a waiting parent.
func within[T any](ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case got := <-done:
		return got.value, got.err
	case <-timer.C:
		var none T
		return none, context.Cause(ctx)
	}
}

// readUntil returns a reader of r that ends with ctx: a blocked read then fails with ctx's cause.
// Close does not wait for the blocked read.
func readUntil(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) }) // returns no error
	go func() {
		defer stop()
		_, err := io.Copy(in, r)
		_ = in.CloseWithError(err) // nil means the end of the file
	}()
	return out
}
