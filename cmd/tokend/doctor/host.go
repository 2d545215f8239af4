package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"tokend/daemon/store"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// configuration reports the mistakes in the configuration, which include secret files that cannot
// be read.
func (d *Doctor) configuration() {
	switch {
	case d.Config != nil:
		for _, w := range d.Warnings {
			d.warn("configuration", d.File, w, d.say("fix it, then run: tokend check"))
		}
		if len(d.Warnings) == 0 {
			d.ok("configuration", d.File, d.say("%d accounts, and every secret can be read", d.Config.Accounts()))
		}
	case errors.Is(d.Mistakes, fs.ErrPermission):
		d.fail(exitDenied, "configuration", d.File, d.say("not readable for this user: what depends on it is not checked"), d.say("run: sudo tokend doctor"))
	default:
		for line := range strings.Lines(d.Mistakes.Error()) {
			if line = strings.TrimSpace(line); line != "" {
				d.fail(exitUsage, "configuration", d.File, line, d.say("fix it, then run: tokend check"))
			}
		}
	}
}

// stateDir returns the state directory.
func (d *Doctor) stateDir() string {
	if d.Config != nil {
		return d.Config.StateDir
	}
	return "/var/lib/tokend"
}

// Bounds of the free space.
const (
	someSpace = 500 << 20
	lowInodes = 1000
)

// disk reports the free space of the state directory, and who may enter it.
func (d *Doctor) disk() {
	dir := d.stateDir()
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.skip("store", dir, d.say("does not exist yet: the daemon creates it"))
	case err != nil:
		d.skip("store", dir, d.say("not visible to this user: run sudo tokend doctor"))
	case !info.IsDir():
		d.fail(exitFailed, "store", dir, d.say("is not a directory"), d.say("configure another state_dir"))
	case info.Mode().Perm()&0o077 != 0:
		d.fail(exitFailed, "store", dir, d.say("other users can enter it (mode %04o): the daemon does not start", info.Mode().Perm()), d.say("run: sudo chmod 0700 %s", dir))
	default:
		d.ok("store", dir, d.say("mode %04o, owner %d", info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Uid))
	}
	var st unix.Statfs_t
	at := dir
	for err = unix.Statfs(at, &st); err != nil && at != "/"; err = unix.Statfs(at, &st) {
		at = filepath.Dir(at)
	}
	if err != nil {
		d.skip("disk", at, err.Error())
		return
	}
	free, inodes := uint64(st.Bavail)*uint64(st.Bsize), uint64(st.Ffree)
	text := d.say("%d MiB free", free>>20)
	switch {
	case free < store.Reserve(dir):
		d.fail(exitFailed, "disk", at, text+d.say(": the store cannot write"), d.say("free at least %d MiB", someSpace>>20))
	case st.Files > 0 && inodes < lowInodes:
		d.fail(exitFailed, "disk", at, d.say("only %d inodes free", inodes), d.say("delete files on this file system"))
	case free < someSpace:
		d.warn("disk", at, text, d.say("free at least %d MiB", someSpace>>20))
	default:
		d.ok("disk", at, text)
	}
}

// unit reports the state of the daemon's systemd unit.
func (d *Doctor) unit() {
	p := d.Unit
	const name = "tokend.service"
	switch {
	case p == nil:
		d.skip("systemd", name, d.say("does not run this configuration: the daemon is started in another way"))
	case p["ActiveState"] == "failed":
		d.fail(exitFailed, "systemd", name, d.say("the daemon has failed: %s", p["Result"]), d.say("read its log: journalctl -u tokend -n 100"))
	case p["NeedDaemonReload"] == "yes":
		d.warn("systemd", name, d.say("the unit's file has changed since it was read"), d.say("run: sudo systemctl daemon-reload"))
	case p["UnitFileState"] == "disabled":
		d.warn("systemd", name, d.say("does not start at boot"), d.say("run: sudo systemctl enable tokend.socket tokend.service"))
	case p["NRestarts"] != "" && p["NRestarts"] != "0":
		d.warn("systemd", name, d.say("%s restarts after failures", p["NRestarts"]), d.say("read its log: journalctl -u tokend -n 100"))
	default:
		d.ok("systemd", name, p["ActiveState"]+", "+p["UnitFileState"])
	}
}
