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

// valueOf returns the value that an argument stands for: itself, or with "-" the first line
// of stdin. Its error holds nothing of it.
func valueOf(ctx context.Context, arg string, stdin io.Reader) (clientlib.Secret, error) {
	if arg == "-" {
		return checked(firstLine(ctx, stdin))
	}
	return checked(arg, nil)
}

// checked returns what has been read as a value, or says why it is none. Its error holds
// nothing of it.
func checked(value string, err error) (clientlib.Secret, error) {
	switch {
	case err != nil:
		return "", fmt.Errorf("standard input: %w", err)
	case value == "":
		return "", errors.New("the value is empty")
	case !protocol.ValidValue(value):
		return "", errors.New("the value is none: it has spaces or other characters that no value has, or is too long")
	}
	return clientlib.Secret(value), nil
}

// badInput is the error of a command that was given no value to send. If it was
// interrupted over it, that is no wrong usage.
func badInput(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return err
	}
	return &usageError{text: cmd.Name() + ": " + err.Error(), command: cmd}
}

// longest bounds what is read: a little more than the longest value, so that one too long
// is known for it.
const longest = protocol.MaxValue + 3

// firstLine returns the first line of r without its end.
func firstLine(ctx context.Context, r io.Reader) (string, error) {
	return within(ctx, 0, func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

// allOf returns all of r, without the newline at its end if there is one. More lines than
// one are not cut: whoever hands in a wrong file should be told.
func allOf(ctx context.Context, r io.Reader) (string, error) {
	return within(ctx, 0, func() (string, error) {
		b, err := io.ReadAll(io.LimitReader(r, longest))
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), err
	})
}
