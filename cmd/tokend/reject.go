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
			value, err := valueOf(args[1], env.stdin)
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
func valueOf(arg string, stdin io.Reader) (clientlib.Secret, error) {
	if arg == "-" {
		// A little more than the longest value, so that one too long is known for it.
		line, err := bufio.NewReader(io.LimitReader(stdin, protocol.MaxValue+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("cannot read standard input: %w", err)
		}
		arg = strings.TrimRight(line, "\r\n")
	}
	if arg == "" {
		return "", errors.New("the value is empty")
	}
	if !protocol.ValidValue(arg) {
		return "", errors.New("the value is none: it has spaces or other characters that no value has, or is too long")
	}
	return clientlib.Secret(arg), nil
}
