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

// backupTimeout is how long a whole backup may take: a store of some gigabytes on a slow disk.
const backupTimeout = 10 * time.Minute

func newBackup(env *environment) *cobra.Command {
	b := &backup{asker: asker{env: env}}
	cmd := &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Write all that the daemon holds, sealed, to a file",
		Long: `Write all that the daemon holds, as it stands at this moment, to FILE or to standard output. The daemon
goes on serving. The backup is sealed with the daemon's encryption_key, which is not in it: keep a copy
of that elsewhere. Without an encryption_key there is no backup, since it would show every grant.

FILE is made with mode 0600 and appears only when it is whole; one that exists is replaced only with
--force. What goes to standard output is whole only if the exit status is 0. A grant that WeChat
replaces after the backup is not in it, so make them often. It is for root and tokend's own user.`,
		Example: "  tokend backup /var/backups/tokend.backup\n  tokend backup | age -r KEY > tokend.age",
		Args:    takes("[FILE]"),
		RunE:    b.run,
	}
	b.flagsWithin(cmd, backupTimeout)
	cmd.Flags().BoolVar(&b.force, "force", false, "replace a FILE that exists")
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
		err = &usageError{text: "backup: --force is for a FILE", command: cmd}
	case isTerminal(b.env.stdout):
		err = &usageError{text: "backup: a backup is not for a terminal: name a FILE, or redirect it", command: cmd}
	default:
		err = fill(b.env.stdout)
	}
	return b.explain(err)
}

// explain adds what only this command knows about an error.
func (b *backup) explain(err error) error {
	if refusal, ok := errors.AsType[*protocol.Error](err); ok && refusal.Code == protocol.Denied {
		hint := hintNoRule
		// One code for two reasons. The message is for people, and so is this: no more than a hint
		// hangs on it.
		if strings.Contains(refusal.Message, "encryption_key") {
			hint = "stop the daemon, seal its store with a key: tokend rekey, and put the key into the configuration"
		}
		return &hintedError{err, hint}
	}
	if errors.Is(err, errExists) {
		return &hintedError{err, "name another, or replace it with --force"}
	}
	return err
}

// hintedError is an error with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func hintedf(hint, format string, args ...any) error {
	return &hintedError{fmt.Errorf(format, args...), hint}
}
