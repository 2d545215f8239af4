package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"tokend/daemon/config"
	"tokend/daemon/store"
	"tokend/fetchers/secret"
)

// offline holds what the commands share that change the state directory while no daemon runs.
type offline struct {
	env    *environment
	file   string
	config *config.Config // set by open
}

func (o *offline) flags(cmd *cobra.Command) { configFlag(cmd, &o.file) }

// open reads the configuration and checks the owner of the state directory.
func (o *offline) open() (err error) {
	if unsafe := harden(); unsafe != nil {
		fmt.Fprintf(o.env.stderr, "tokend: warning: secrets may end up in a core dump: %v\n", unsafe)
	}
	if o.config, err = loadConfig(o.file); err != nil {
		return err
	}
	info, err := os.Stat(o.config.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(owner.Uid) != os.Geteuid() {
		// The daemon could not open files of another user in its own directory.
		name := userName(owner.Uid)
		return hintedf("run as that user: sudo -u "+name+" tokend ...", "%s belongs to %s: only that user may change it", o.config.StateDir, name)
	}
	return nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "'#" + id + "'" // a form for sudo and the shell
}

// store returns the configuration of the store. The store's warnings go to standard error.
func (o *offline) store() store.Config {
	return store.Config{Dir: o.config.StateDir, Key: keyBytes(o.config.EncryptionKey), Logger: hclog.New(&hclog.LoggerOptions{
		Name: "tokend", Level: hclog.Warn, Output: o.env.stderr,
	})}
}

// keyBytes returns key as the store expects it: nil for none.
func keyBytes(key secret.Text) []byte {
	if key == "" {
		return nil
	}
	return []byte(key)
}

// explain adds a hint to errors of the store.
func (o *offline) explain(err error) error {
	if errors.Is(err, store.ErrLocked) {
		return &hintedError{err, "stop the daemon first: systemctl stop tokend.socket tokend.service"}
	}
	return err
}
