package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"tokend/daemon/permit"
)

// unreadable returns err, or how to give the daemon's user access to the file at path if that is
// what err is about.
func (e Env) unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) && e.Judge != nil {
		if why := e.Judge.Unreadable(path); why != "" {
			return errors.New(why)
		}
		return e.denied(err)
	}
	return err
}

// denied returns err. If err is about this user's rights and the daemon runs as another user, it
// adds what to do.
func (e Env) denied(err error) error {
	if errors.Is(err, fs.ErrPermission) && e.Judge != nil && e.Judge.User.UID != permit.Current().UID {
		return fmt.Errorf("%w: not for this user: use sudo", err)
	}
	return err
}

// refused returns why a file that has been opened must not be used: others can change it, or the
// daemon's user cannot read it. It is "" if the file is safe.
func (e Env) refused(path string, info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case e.Judge == nil && mode.Perm()&0o022 != 0:
		return permit.Writable(path, mode)
	case e.Judge == nil:
		return ""
	}
	if why := permit.Writable(path, info.Mode()); why != "" {
		return why
	}
	return e.Judge.Unreadable(path)
}

// exposed returns what to type if every user of the host can read the file at path, "" otherwise.
func (e Env) exposed(path string, info fs.FileInfo) string {
	switch {
	case info.Mode().Perm()&0o004 == 0:
		return ""
	case e.Judge == nil:
		return "chmod o-rwx " + path
	case !permit.Exposed(path):
		return ""
	}
	return e.Judge.Private(path, info)
}

// places judges the directories of the socket and the state.
func (t *table) places(c *Config) {
	j := t.env.Judge
	if j == nil || !j.Places {
		return
	}
	if why := permit.Socket(c.Socket); why != "" {
		t.reportf(t.lineOf("socket"), "socket: %s", why)
	}
	if c.Pages != nil {
		if path, unix := strings.CutPrefix(c.Pages.Listen, unixPrefix); unix {
			if why := permit.Socket(path); why != "" {
				t.reportf(t.value("pages").value("listen").line, "[pages] listen: %s", why)
			}
		}
	}
	if why := j.State(c.StateDir); why != "" {
		t.reportf(t.lineOf("state_dir"), "state_dir: %s", why)
	}
}
