package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tokend/daemon/config"
	"tokend/daemon/store"
	"tokend/fetchers/secret"
)

func newRekey(env *environment) *cobra.Command {
	r := &rekey{offline: offline{env: env}}
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Change the key of the state directory; the daemon must not run",
		Long: `Seal the state directory with a new key, which one of the --new-key flags names: 32 bytes, or 64
hexadecimal digits. The configuration names the state directory and, as encryption_key, its current
key. Without an encryption_key, a state directory in clear is sealed.

With an encryption_key, tokend refuses a store in clear, because anybody could have put the store
there. After you configure a key for the first time, run tokend rekey --seal. Without a new key,
--seal uses the encryption_key.

Stop the daemon first, and run rekey as the daemon's user. Afterwards set encryption_key to the new
key. If rekey is interrupted, run it again. Older backups keep the old key.`,
		Example: "  openssl rand -hex 32 > /etc/tokend/new.key\n  tokend rekey --new-key-file /etc/tokend/new.key\n  tokend rekey --seal",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&r.newKey.file, "new-key-file", "", "read the new key from `FILE`")
	cmd.Flags().StringVar(&r.newKey.env, "new-key-env", "", "read the new key from the environment variable `NAME`")
	cmd.Flags().StringVar(&r.newKey.credential, "new-key-credential", "", "read the new key from systemd's credential `NAME`")
	cmd.Flags().BoolVar(&r.sealClear, "seal", false, "seal a store in clear although an encryption_key is configured")
	_ = cmd.MarkFlagFilename("new-key-file") // fails only for an unknown flag
	return cmd
}

type rekey struct {
	offline
	newKey    keySource
	sealClear bool
}

func (r *rekey) run(cmd *cobra.Command) error {
	how, where, err := r.newKey.source()
	configured := r.sealClear && errors.Is(err, errNoKeySource)
	if err != nil && !configured {
		return &usageError{text: "rekey: " + err.Error(), command: cmd}
	}
	if err := r.open(); err != nil {
		return err
	}
	key := r.config.EncryptionKey
	if !configured {
		var warnings []config.Problem
		key, warnings, err = config.ReadKey(how, where, config.OSEnv())
		for _, p := range warnings {
			fmt.Fprintf(r.env.stderr, "tokend: warning: %s\n", p.Message)
		}
		if err != nil {
			return &usageError{text: "rekey: the new key: " + err.Error(), command: cmd}
		}
	} else if key == "" {
		return &usageError{text: "rekey: --seal without a new key uses the encryption_key, but " + r.file + " has none", command: cmd}
	}
	dir := r.config.StateDir
	if entries, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(entries) == 0 {
		return fmt.Errorf("%s is empty: there is nothing to seal", dir)
	}
	if err := r.seal(cmd.Context(), key); err != nil {
		return err
	}
	with := "the new key; now set encryption_key in " + r.file + " to it: the daemon needs it to start"
	switch {
	case configured:
		with = "the encryption_key in " + r.file
	case key == r.config.EncryptionKey:
		with = "the new key; it is the encryption_key in " + r.file
	}
	_, err = fmt.Fprintf(r.env.stdout, "%s: sealed with %s\n", dir, with)
	return err
}

func (r *rekey) seal(ctx context.Context, key secret.Text) error {
	cfg := r.store()
	cfg.AcceptClear = r.sealClear
	err := store.Rekey(ctx, cfg, keyBytes(key))
	if errors.Is(err, store.ErrKey) {
		return hintedf("encryption_key in the configuration must be the current key of the store; nothing has been changed",
			"%s is sealed with neither the encryption_key nor the new key", r.config.StateDir)
	}
	return r.explain(err)
}

// keySource is the source of the new key. Exactly one field is set.
type keySource struct{ file, env, credential string }

var errNoKeySource = errors.New("name the new key with one of --new-key-file, --new-key-env and --new-key-credential")

// source returns the kind of source and its path or name.
func (k keySource) source() (how, where string, err error) {
	set := 0
	for _, s := range [][2]string{{"file", k.file}, {"env", k.env}, {"credential", k.credential}} {
		if s[1] != "" {
			how, where = s[0], s[1]
			set++
		}
	}
	switch set {
	case 0:
		return "", "", errNoKeySource
	case 1:
	default:
		return "", "", errors.New("name the new key with only one of --new-key-file, --new-key-env and --new-key-credential")
	}
	if how == "file" {
		where, err = filepath.Abs(where)
	}
	return how, where, err
}
