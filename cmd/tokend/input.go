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

// valueOf returns the value of an argument: the argument itself, or the first line of stdin if it
// is "-". Its error contains no part of the value.
func valueOf(ctx context.Context, arg string, stdin io.Reader) (clientlib.Secret, error) {
	if arg == "-" {
		return checked(firstLine(ctx, stdin))
	}
	return checked(arg, nil)
}

// checked returns value if it can be a value, or an error that contains no part of it.
func checked(value string, err error) (clientlib.Secret, error) {
	switch {
	case err != nil:
		return "", fmt.Errorf("standard input: %w", err)
	case value == "":
		return "", errors.New("the value is empty")
	case !protocol.ValidValue(value):
		return "", errors.New("not a value: it contains spaces or other invalid characters, or is too long")
	}
	return clientlib.Secret(value), nil
}

// badInput is the error of a command without a valid value to send. An interrupted command is not
// wrong usage.
func badInput(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return err
	}
	return &usageError{text: cmd.Name() + ": " + err.Error(), command: cmd}
}

// longest limits the input. It is slightly more than the longest value, so that a value that is too
// long is detected.
const longest = protocol.MaxValue + 3

// firstLine returns the first line of r without its terminator.
func firstLine(ctx context.Context, r io.Reader) (string, error) {
	return within(ctx, 0, func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

// allOf returns all of r without a newline at the end. Several lines are not cut to the first, so
// that a wrong file is an error.
func allOf(ctx context.Context, r io.Reader) (string, error) {
	return within(ctx, 0, func() (string, error) {
		b, err := io.ReadAll(io.LimitReader(r, longest))
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), err
	})
}
