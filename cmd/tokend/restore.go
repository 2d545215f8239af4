package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tokend/daemon/store"
)

func newRestore(env *environment) *cobra.Command {
	r := &restore{offline: offline{env: env}}
	cmd := &cobra.Command{
		Use:   "restore [FILE]",
		Short: "Fill an empty state directory from a backup; the daemon must not run",
		Long: `Fill the configured state directory from the backup in FILE or on standard input. The directory must
be missing or empty, and no daemon may use it. encryption_key must be the key of the backup. Either
the whole backup is restored or nothing. With an encryption_key, tokend refuses a backup in clear,
because anybody could have made the backup. --accept-clear restores and seals such a backup.

Run it as the daemon's user. Grants that WeChat replaced after the backup are not in it: those
customers must authorize again, or use tokend import.`,
		Example: "  sudo -u tokend tokend restore < /var/backups/tokend.backup",
		Args:    takes("[FILE]"),
		RunE:    r.run,
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&r.acceptClear, "accept-clear", false, "seal and restore a backup in clear although an encryption_key is configured")
	return cmd
}

type restore struct {
	offline
	acceptClear bool
}

func (r *restore) run(cmd *cobra.Command, args []string) error {
	from, name := r.env.stdin, "standard input"
	if len(args) == 0 && isTerminal(from) {
		return &usageError{text: "restore: standard input is a terminal: name a FILE, or redirect the input", command: cmd}
	}
	if err := r.open(); err != nil {
		return err
	}
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		from, name = f, args[0]
	}
	backup := readUntil(cmd.Context(), from)
	defer backup.Close()
	if err := r.from(backup, name); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.env.stdout, "%s: restored\n", r.config.StateDir)
	return err
}

func (r *restore) from(backup io.Reader, name string) error {
	cfg := r.store()
	cfg.AcceptClear = r.acceptClear
	err := store.Restore(cfg, backup)
	switch {
	case errors.Is(err, store.ErrClear):
		return hintedf("anybody could have made this backup; if it is yours: tokend restore --accept-clear",
			"%s is in clear although an encryption_key is configured", name)
	case errors.Is(err, store.ErrBackup):
		return hintedf("nothing has been restored; try another copy", "%s is not a complete backup: it is truncated, altered or another kind of file", name)
	case errors.Is(err, store.ErrKey) && r.config.EncryptionKey == "":
		return hintedf("configure the encryption_key of the daemon that made the backup", "%s is sealed and no encryption_key is configured", name)
	case errors.Is(err, store.ErrKey):
		return hintedf("configure the encryption_key of the daemon that made the backup; change the key afterwards with tokend rekey", "%s is sealed with another encryption_key", name)
	case errors.Is(err, store.ErrNotEmpty):
		return &hintedError{err, "move its files away, or configure another state_dir"}
	}
	return r.explain(err)
}
