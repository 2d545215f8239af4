package permit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The ids of a user that does not exist, and of its groups.
const uid, gid, other = 54321, 54322, 54323

// tree makes files and directories, given as "path mode uid gid", and returns their root. All users
// can reach the root.
func tree(t *testing.T, entries ...entry) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to others")
	}
	root, err := os.MkdirTemp("", "permit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(root, e.path)
		if strings.HasSuffix(e.path, "/") {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err := errors.Join(err, os.Chown(path, e.uid, e.gid), os.Chmod(path, e.mode)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

type entry struct {
	path     string // a directory ends in /
	mode     fs.FileMode
	uid, gid int
}

func newJudge() *Judge {
	return &Judge{User: User{Name: "tokend", Group: "tokendgroup", UID: uid, GIDs: []uint32{gid}}, Reads: true}
}

// TestUnreadable checks the findings against what the kernel allows: each remedy, followed, ends in
// a file that the user can read.
func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []entry // the last is the file
		want    string  // "" for readable; ROOT is the root
	}{
		{"of the user", []entry{{"f", 0o600, uid, 0}}, ""},
		{"of the user's group", []entry{{"f", 0o640, 0, gid}}, ""},
		{"of everybody", []entry{{"f", 0o644, 0, 0}}, ""},
		{"of root", []entry{{"f", 0o600, 0, 0}}, "user tokend cannot read ROOT/f (mode 0600, root:root): chgrp tokendgroup ROOT/f && chmod 640 ROOT/f"},
		{"of root's group", []entry{{"f", 0o640, 0, 0}}, "user tokend cannot read ROOT/f (mode 0640, root:root): chgrp tokendgroup ROOT/f && chmod 640 ROOT/f"},
		{"closed to its group alone", []entry{{"f", 0o604, 0, gid}}, "user tokend cannot read ROOT/f (mode 0604, root:54322): chgrp tokendgroup ROOT/f && chmod 640 ROOT/f"},
		{"closed to its owner", []entry{{"f", 0o044, uid, 0}}, "user tokend cannot read ROOT/f (mode 0044, 54321:root): chmod 600 ROOT/f"},
		{"in root's directory", []entry{{"d/", 0o700, 0, 0}, {"d/f", 0o644, 0, 0}}, "user tokend cannot enter ROOT/d (mode 0700, root:root): chgrp tokendgroup ROOT/d && chmod 750 ROOT/d"},
		{"below root's directory", []entry{{"d/", 0o750, 0, 0}, {"d/e/", 0o755, 0, 0}, {"d/e/f", 0o600, 0, 0}}, "user tokend cannot enter ROOT/d (mode 0750, root:root): chgrp tokendgroup ROOT/d && chmod 750 ROOT/d"},
		{"in the group's directory", []entry{{"d/", 0o750, 0, gid}, {"d/f", 0o640, 0, gid}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, test.entries...)
			path := filepath.Join(root, test.entries[len(test.entries)-1].path)
			if got, want := newJudge().Unreadable(path), strings.ReplaceAll(test.want, "ROOT", root); got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
			if got := (&Judge{}).Unreadable(path); got != "" {
				t.Errorf("without Reads: got %q", got)
			}
		})
	}
	root := tree(t, entry{"f", 0o644, 0, 0}, entry{"d/", 0o700, 0, 0}, entry{"d/f", 0o600, uid, 0})
	j := newJudge()
	j.Hidden = []string{root}
	if got, want := j.Unreadable(root+"/f"), "the unit hides "+root+" from the daemon: install -m 0640 -g tokendgroup "+root+"/f /etc/tokend/"; got != want {
		t.Errorf("hidden:\n got %q\nwant %q", got, want)
	}
	if err := os.Symlink(root+"/d/f", root+"/link"); err != nil {
		t.Fatal(err)
	}
	if got := newJudge().Unreadable(root + "/link"); !strings.Contains(got, "cannot enter "+root+"/d ") {
		t.Errorf("a link to a file in a closed directory: got %q", got)
	}
}

// TestWritable checks which files others can change or replace.
func TestWritable(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"private", []entry{{"f", 0o640, 0, gid}}, ""},
		{"by its group", []entry{{"f", 0o660, 0, gid}}, "its group can write ROOT/f (mode 0660): chmod g-w ROOT/f"},
		{"by everybody", []entry{{"f", 0o666, 0, gid}}, "every user can write ROOT/f (mode 0666): chmod go-w ROOT/f"},
		{"in everybody's directory", []entry{{"d/", 0o777, 0, 0}, {"d/f", 0o600, 0, 0}}, "every user can write to the directory ROOT/d: chmod o-w ROOT/d"},
		{"below everybody's directory", []entry{{"d/", 0o777, 0, 0}, {"d/e/", 0o755, 0, 0}, {"d/e/f", 0o600, 0, 0}}, "every user can write to the directory ROOT/d: chmod o-w ROOT/d"},
		{"in its group's directory", []entry{{"d/", 0o775, 0, gid}, {"d/f", 0o600, 0, 0}}, "group 54322 can write to the directory ROOT/d: chmod g-w ROOT/d"},
		{"in a directory of root's group", []entry{{"d/", 0o775, 0, 0}, {"d/f", 0o600, 0, 0}}, ""},
		{"in a directory of a user's own group", []entry{{"d/", 0o775, uid, uid}, {"d/f", 0o600, uid, uid}}, ""},
		{"in a group's sticky directory", []entry{{"d/", 0o775 | fs.ModeSticky, 0, gid}, {"d/f", 0o600, 0, 0}}, ""},
		{"in a sticky directory", []entry{{"d/", 0o777 | fs.ModeSticky, 0, 0}, {"d/f", 0o600, 0, 0}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, test.entries...)
			last := test.entries[len(test.entries)-1]
			if got, want := Writable(filepath.Join(root, last.path), last.mode), strings.ReplaceAll(test.want, "ROOT", root); got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		})
	}
}

// TestExposed checks that a file that no other user can reach is not called readable.
func TestExposed(t *testing.T) {
	root := tree(t, entry{"f", 0o644, 0, 0}, entry{"closed", 0o640, 0, 0}, entry{"d/", 0o750, 0, 0}, entry{"d/f", 0o644, 0, 0})
	for path, want := range map[string]bool{"f": true, "closed": false, "d/f": false, "none": false} {
		if got := Exposed(filepath.Join(root, path)); got != want {
			t.Errorf("%s: got %t, want %t", path, got, want)
		}
	}
}

// TestPlaces checks the directories of the socket and the state.
func TestPlaces(t *testing.T) {
	root := tree(t, entry{"run/", 0o755, 0, 0}, entry{"open/", 0o777, 0, 0}, entry{"shared/", 0o775, 0, gid}, entry{"open/d/", 0o755, 0, 0}, entry{"tmp/", 0o777 | fs.ModeSticky, 0, 0},
		entry{"state/", 0o700, uid, gid}, entry{"state/f", 0o600, uid, gid}, entry{"wide/", 0o750, uid, gid}, entry{"roots/", 0o700, 0, 0},
		entry{"mixed/", 0o700, uid, gid}, entry{"mixed/f", 0o600, 0, 0}, entry{"closed/", 0o700, 0, 0}, entry{"closed/state/", 0o700, uid, gid})
	for path, want := range map[string]string{
		"run/s":    "",
		"none/s":   "",
		"shared/s": "group 54322 can write to the directory ROOT/shared: chmod g-w ROOT/shared",
		"open/s":   "every user can write to the directory ROOT/open: chmod o-w ROOT/open",
		"open/d/s": "every user can write to the directory ROOT/open: chmod o-w ROOT/open",
		"tmp/s":    "every user can write to the directory ROOT/tmp: put the socket into one of its own, as in /run/tokend",
	} {
		if got := strings.ReplaceAll(Socket(filepath.Join(root, path)), root, "ROOT"); got != want {
			t.Errorf("socket %s:\n got %q\nwant %q", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"state":        "",
		"none":         "",
		"wide":         "ROOT/wide is open to others (mode 0750): chmod 0700 ROOT/wide",
		"roots":        "ROOT/roots belongs to user root, not to tokend: chown -R tokend:tokendgroup ROOT/roots",
		"mixed":        "ROOT/mixed/f belongs to user root, not to tokend: chown -R tokend:tokendgroup ROOT/mixed",
		"closed/state": "user tokend cannot enter ROOT/closed (mode 0700, root:root): chgrp tokendgroup ROOT/closed && chmod 750 ROOT/closed",
	} {
		if got := strings.ReplaceAll(newJudge().State(filepath.Join(root, path)), root, "ROOT"); got != want {
			t.Errorf("state %s:\n got %q\nwant %q", path, got, want)
		}
	}
}

// TestNamed checks a user of the user database.
func TestNamed(t *testing.T) {
	u, err := Named("root", "", "daemon")
	if err != nil || u.Name != "root" || u.UID != 0 || u.GIDs[0] != 0 || len(u.GIDs) < 2 {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err := Named("tokend-nobody", ""); err == nil {
		t.Error("an unknown user: no error")
	}
}
