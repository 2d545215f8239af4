package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/protocol"
)

func newReject(env *environment) *cobra.Command {
	a := &asker{env: env}
	cmd := &cobra.Command{
		Use:   "reject NAME VALUE",
		Short: "Hand back a value that WeChat refused, and print the one to use in its place",
		Long: `Hand back a value that WeChat refused as invalid or expired, and print the one to use in its
place. It is replaced only if it is still the current one, and once for all who say so.

A VALUE of - is read from standard input. Prefer that: what stands on a command line
can be seen by every user of the host, and a value may begin with a dash.`,
		Example:           `  echo "$token" | tokend reject official_account/wx0123456789abcdef/access_token -`,
		Args:              takes("NAME", "VALUE"),
		ValidArgsFunction: a.names,
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := valueOf(cmd.Context(), args[1], env.stdin)
			if cmd.Context().Err() != nil {
				return err
			}
			if err != nil {
				return &usageError{text: "reject: " + err.Error(), command: cmd}
			}
			return a.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
				v, err := c.Reject(ctx, args[0], value)
				return printValue(env, v, err)
			})
		},
	}
	a.flags(cmd)
	return cmd
}

// valueOf returns the value that an argument stands for. Its error holds nothing of it.
func valueOf(ctx context.Context, arg string, stdin io.Reader) (clientlib.Secret, error) {
	if arg == "-" {
		var err error
		if arg, err = firstLine(ctx, stdin); err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
	}
	if arg == "" {
		return "", errors.New("the value is empty")
	}
	if !protocol.ValidValue(arg) {
		return "", errors.New("the value is none: it has spaces or other characters that no value has, or is too long")
	}
	return clientlib.Secret(arg), nil
}

// firstLine returns the first line of r without its end, or ctx's error if somebody at a
// terminal thinks better of it. A read of a terminal cannot be called off: it then ends
// with the process, and is the one goroutine here that nobody waits for.
func firstLine(ctx context.Context, r io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		// A little more than the longest value, so that one too long is known for it.
		line, err := bufio.NewReader(io.LimitReader(r, protocol.MaxValue+2)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		read <- result{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case got := <-read:
		return got.line, got.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
