package access

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMayConnect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
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

func TestPeerOfUnknownUser(t *testing.T) {
	if p := PeerOf(4_000_000_000); p.GID != noGroup || len(p.Groups) != 0 {
		t.Errorf("an unknown user has groups: %+v", p)
	}
}
