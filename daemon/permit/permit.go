package permit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// User is a user of this host.
type User struct {
	Name, Group string // for commands: numbers if there are no names
	UID         uint32
	GIDs        []uint32
}

// Judge judges files for one user. It remembers directories, so it is for one check only. It is not
// safe for concurrent use.
type Judge struct {
	User User

	// Reads judges whether User can read the files. Without it, only other users' access is judged.
	Reads bool

	// Places judges the directories of the socket and the state too.
	Places bool

	// Hidden are directories that the user's processes cannot see, although modes allow it.
	Hidden []string

	dirs map[string]string // what hinders User from entering, by directory
}

// permission is one of the three bits of a mode.
type permission fs.FileMode

const (
	read  permission = 0o4
	write permission = 0o2
	enter permission = 0o1
)

// may reports whether u has a permission, as the kernel decides: the bits of the first class that u
// belongs to count.
func (u User) may(p permission, info fs.FileInfo) bool {
	mode, owner := info.Mode().Perm(), ownerOf(info)
	switch {
	case u.UID == 0:
		return true
	case owner.Uid == u.UID:
		return mode&fs.FileMode(p<<6) != 0
	case slices.Contains(u.GIDs, owner.Gid):
		return mode&fs.FileMode(p<<3) != 0
	default:
		return mode&fs.FileMode(p) != 0
	}
}

func ownerOf(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

// Unreadable returns why the user cannot read the file at path and what to type, "" if the user
// can.
func (j *Judge) Unreadable(path string) string {
	if !j.Reads {
		return ""
	}
	path = resolved(path)
	for _, hidden := range j.Hidden {
		if strings.HasPrefix(path, hidden+"/") {
			return fmt.Sprintf("the unit hides %s from the daemon: install -m 0640 -g %s %s /etc/tokend/", hidden, j.User.Group, path)
		}
	}
	if why := j.unreachable(filepath.Dir(path)); why != "" {
		return why
	}
	info, err := os.Stat(path)
	if err != nil || j.User.may(read, info) {
		return "" // opening the file returns err
	}
	return fmt.Sprintf("user %s cannot read %s (%s): %s", j.User.Name, path, describe(info), j.Private(path, info))
}

// Private returns the commands after which the user can read the file at path, and other users
// cannot.
func (j *Judge) Private(path string, info fs.FileInfo) string {
	if ownerOf(info).Uid == j.User.UID {
		return "chmod 600 " + path
	}
	return fmt.Sprintf("chgrp %s %s && chmod 640 %s", j.User.Group, path, path)
}

// unreachable returns why the user cannot enter dir or a directory above.
func (j *Judge) unreachable(dir string) string {
	if why, known := j.dirs[dir]; known {
		return why
	}
	why := ""
	if above := filepath.Dir(dir); above != dir {
		why = j.unreachable(above)
	}
	if info, err := os.Stat(dir); why == "" && err == nil && !j.User.may(enter, info) {
		why = fmt.Sprintf("user %s cannot enter %s (%s): chgrp %s %s && chmod 750 %s", j.User.Name, dir, describe(info), j.User.Group, dir, dir)
	}
	if j.dirs == nil {
		j.dirs = make(map[string]string)
	}
	j.dirs[dir] = why
	return why
}

// Exposed reports whether every user of the host can read the file at path: its mode and those of
// all directories above allow it.
func Exposed(path string) bool {
	path = resolved(path)
	need := read
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&fs.FileMode(need) == 0 {
			return false
		}
		above := filepath.Dir(path)
		if above == path {
			return true
		}
		path, need = above, enter
	}
}

// Writable returns why others can change or replace the file with a mode at path and what to type,
// "" if they cannot.
func Writable(path string, mode fs.FileMode) string {
	switch {
	case mode&0o002 != 0:
		return fmt.Sprintf("every user can write %s (mode %04o): chmod go-w %s", path, mode.Perm(), path)
	case mode&0o020 != 0:
		return fmt.Sprintf("its group can write %s (mode %04o): chmod g-w %s", path, mode.Perm(), path)
	}
	return Replaceable(filepath.Dir(resolved(path)), true)
}

// Replaceable returns why others can replace files in dir and what to type, "" if they cannot:
// every user can write to dir or to a directory above, or a group can write to dir. Users cannot
// replace files of others in a sticky directory, such as /tmp. sticky says whether dir may be one;
// the directories above may.
func Replaceable(dir string, sticky bool) string {
	if why := shared(dir); why != "" {
		return why
	}
	for {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&fs.FileMode(write) != 0 && !(sticky && info.Mode()&fs.ModeSticky != 0) {
			return fmt.Sprintf("every user can write to the directory %s: chmod o-w %s", dir, dir)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return ""
		}
		dir, sticky = above, true
	}
}

// shared returns why the members of a group can replace files in dir and what to type, "" if they
// cannot. Root's group and a user's own group of the same name count as their user.
func shared(dir string) string {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&fs.ModeSticky != 0 || info.Mode().Perm()&fs.FileMode(write<<3) == 0 {
		return ""
	}
	owner := ownerOf(info)
	group := GroupName(owner.Gid)
	if owner.Gid == 0 || group == UserName(owner.Uid) || info.Mode().Perm()&fs.FileMode(write) != 0 {
		return "" // the last is worse, and Replaceable reports it
	}
	return fmt.Sprintf("group %s can write to the directory %s: chmod g-w %s", group, dir, dir)
}

// Socket returns why the directory of a socket is unsafe, "" if it is safe or does not exist.
func Socket(path string) string {
	dir := resolved(filepath.Dir(path))
	why := Replaceable(dir, false)
	if info, err := os.Stat(dir); why != "" && err == nil && info.Mode()&fs.ModeSticky != 0 {
		return fmt.Sprintf("every user can write to the directory %s: put the socket into one of its own, as in /run/tokend", dir)
	}
	return why
}

// State returns what is wrong with a state directory of the user, "" if nothing is or it does not
// exist.
func (j *Judge) State(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	if why := Foreign(dir, j.User); why != "" {
		return why
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("%s is open to others (mode %04o): chmod 0700 %s", dir, mode, dir)
	}
	return j.unreachable(filepath.Dir(resolved(dir)))
}

// Foreign returns which part of dir does not belong to u and what to type, "" if all of it does.
func Foreign(dir string, u User) string {
	found := ""
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // another finding says why it cannot be seen
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if owner := ownerOf(info); owner.Uid != u.UID {
			found = fmt.Sprintf("%s belongs to user %s, not to %s: chown -R %s:%s %s", path, UserName(owner.Uid), u.Name, u.Name, u.Group, dir)
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// describe returns the mode and the owner of a file.
func describe(info fs.FileInfo) string {
	owner := ownerOf(info)
	return fmt.Sprintf("mode %04o, %s:%s", info.Mode().Perm(), UserName(owner.Uid), GroupName(owner.Gid))
}

// resolved returns the absolute form of path without symbolic links, as far as possible.
func resolved(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		path = p
	}
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}
