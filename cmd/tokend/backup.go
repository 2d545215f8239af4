package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/protocol"
)

// backupTimeout is the limit for a whole backup: some gigabytes from a slow disk.
const backupTimeout = 10 * time.Minute

func newBackup(env *environment) *cobra.Command {
	b := &backup{asker: asker{env: env}}
	cmd := &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Write a sealed backup of the daemon's store",
		Long: `Write a backup of the daemon's store as of now to FILE or to standard output. The daemon
continues to serve. The backup is sealed with the daemon's encryption_key and does not contain
the key: keep a copy of the key elsewhere. Without an encryption_key, backup fails, since the
backup would show every grant.

FILE is created with mode 0600 when the backup is complete. An existing FILE is replaced only
with --force. A backup on standard output is complete only if the exit status is 0. Grants that
WeChat replaces later are not in the backup, so make backups often. It requires root or tokend's
own user.`,
		Example: "  tokend backup /var/backups/tokend.backup\n  tokend backup | age -r KEY > tokend.age",
		Args:    takes("[FILE]"),
		RunE:    b.run,
	}
	b.flagsWithin(cmd, backupTimeout)
	cmd.Flags().BoolVar(&b.force, "force", false, "replace an existing FILE")
	return cmd
}

type backup struct {
	asker
	force bool
}

func (b *backup) run(cmd *cobra.Command, args []string) error {
	fill := func(w io.Writer) error {
		return b.ask(cmd, func(ctx context.Context, c *clientlib.Client) error { return c.Backup(ctx, w) })
	}
	var err error
	switch {
	case len(args) == 1:
		err = writeNew(args[0], b.force, fill)
	case b.force:
		err = &usageError{text: "backup: --force requires a FILE", command: cmd}
	case isTerminal(b.env.stdout):
		err = &usageError{text: "backup: standard output is a terminal: name a FILE, or redirect the output", command: cmd}
	default:
		err = fill(b.env.stdout)
	}
	return b.explain(err)
}

// explain adds a hint to errors of this command.
func (b *backup) explain(err error) error {
	if refusal, ok := errors.AsType[*protocol.Error](err); ok && refusal.Code == protocol.Denied {
		hint := hintNoRule
		// One code has two reasons. The message is text for people, so only a hint depends on it.
		if strings.Contains(refusal.Message, "encryption_key") {
			hint = "stop the daemon, seal its store with: tokend rekey, and set encryption_key in the configuration"
		}
		return &hintedError{err, hint}
	}
	if errors.Is(err, errExists) {
		return &hintedError{err, "name another file, or replace this one with --force"}
	}
	return err
}

// hintedError is an error with a hint about what to do.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func hintedf(hint, format string, args ...any) error {
	return &hintedError{fmt.Errorf(format, args...), hint}
}
