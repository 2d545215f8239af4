package access

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMayConnect(t *testing.T) {
	path := filepath.Join(openDir(t), "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := ownership(info)
	stranger := Peer{UID: uid + 1, GID: gid + 1}
	member := Peer{UID: uid + 1, GID: gid + 1, Groups: []uint32{gid + 2, gid}}
	for _, test := range []struct {
		mode os.FileMode
		peer Peer
		want bool
	}{
		{0o660, Peer{UID: uid}, true},
		{0o060, Peer{UID: uid, GID: gid}, false},
		{0o660, member, true},
		{0o660, Peer{UID: uid + 1, GID: gid}, true},
		{0o606, member, false},
		{0o660, stranger, false},
		{0o666, stranger, true},
	} {
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		if got := MayConnect(path, test.peer); got != test.want {
			t.Errorf("%v, %+v: got %v, want %v", test.mode, test.peer, got, test.want)
		}
	}
	if MayConnect(path+"none", stranger) {
		t.Error("a missing socket can be opened")
	}
}

// openDir returns a directory that every user can enter, unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMayConnectDirectories: a user that cannot enter a directory above the socket, or above the
// target of a link to it, cannot connect, whatever the mode of the socket.
func TestMayConnectDirectories(t *testing.T) {
	root := openDir(t)
	outer, inner, links := filepath.Join(root, "outer"), filepath.Join(root, "outer", "inner"), filepath.Join(root, "links")
	for _, dir := range []string{outer, inner, links} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, link := filepath.Join(inner, "s"), filepath.Join(links, "s")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := ownership(info)
	stranger, member := Peer{UID: uid + 1, GID: gid + 1}, Peer{UID: uid + 1, GID: gid}
	for _, test := range []struct {
		name                string
		outer, inner, links os.FileMode
		stranger, member    bool // over the path
		linked              bool // the stranger over the link
	}{
		{"open to all", 0o755, 0o755, 0o755, true, true, true},
		{"search is enough", 0o711, 0o711, 0o711, true, true, true},
		{"reading is not enough", 0o755, 0o744, 0o755, false, false, false},
		{"the directory is for the group", 0o755, 0o750, 0o755, false, true, false},
		{"one further up is for the group", 0o750, 0o755, 0o755, false, true, false},
		{"one further up is for the owner", 0o700, 0o755, 0o755, false, false, false},
		{"the link's directory is for the owner", 0o755, 0o755, 0o700, true, true, false},
	} {
		for dir, mode := range map[string]os.FileMode{inner: test.inner, outer: test.outer, links: test.links} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		if got := MayConnect(path, stranger); got != test.stranger {
			t.Errorf("%s: a stranger: got %v, want %v", test.name, got, test.stranger)
		}
		if got := MayConnect(path, member); got != test.member {
			t.Errorf("%s: a member of the group: got %v, want %v", test.name, got, test.member)
		}
		if got := MayConnect(link, stranger); got != test.linked {
			t.Errorf("%s: a stranger over the link: got %v, want %v", test.name, got, test.linked)
		}
		if !MayConnect(path, Peer{UID: uid}) {
			t.Errorf("%s: the owner cannot connect", test.name)
		}
		_ = os.Chmod(outer, 0o755) // so that a test that is not root can change inner
	}
}

func TestPeerOfUnknownUser(t *testing.T) {
	if p := PeerOf(4_000_000_000); p.GID != noGroup || len(p.Groups) != 0 {
		t.Errorf("an unknown user has groups: %+v", p)
	}
}
