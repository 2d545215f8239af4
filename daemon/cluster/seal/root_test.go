package seal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Fixed encryption keys.
var (
	encryption1 = []byte(strings.Repeat("a", SecretSize))
	encryption2 = []byte(strings.Repeat("b", SecretSize))
)

const rootKey = "/tokend/v"

func sealRoot(t testing.TB, r Root, encryptionKey []byte) []byte {
	t.Helper()
	stored, err := r.Seal(encryptionKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// TestKeyChanged checks that a new encryption key changes the Root's value and no other: IDs are
// the same, and records sealed before open.
func TestKeyChanged(t *testing.T) {
	first := NewRoot("1.4.0")
	before := newSealer(t, first.Secret)
	id, record := before.ID("c", name1), before.Seal(key1, name1, []byte("record"))

	opened, err := OpenRoot(encryption1, rootKey, sealRoot(t, first, encryption1))
	if err != nil || opened != first {
		t.Fatalf("got %+v, %v, want %+v", opened, err, first)
	}
	changed := sealRoot(t, opened, encryption2)
	if _, err := OpenRoot(encryption1, rootKey, changed); !errors.Is(err, ErrSealed) {
		t.Errorf("with the old key: got %v, want ErrSealed", err)
	}
	again, err := OpenRoot(encryption2, rootKey, changed)
	if err != nil || again != first {
		t.Fatalf("got %+v, %v, want %+v", again, err, first)
	}
	after := newSealer(t, again.Secret)
	if got := after.ID("c", name1); got != id {
		t.Errorf("ID changed from %s to %s", id, got)
	}
	if name, got, err := after.Open(key1, record); err != nil || name != name1 || string(got) != "record" {
		t.Errorf("record sealed before: got %q, %q, %v", name, got, err)
	}
}

// TestRootsDiffer checks that two clusters share neither ID nor secret.
func TestRootsDiffer(t *testing.T) {
	a, b := NewRoot("1.4.0"), NewRoot("1.4.0")
	if a.Cluster == b.Cluster || a.Secret == b.Secret || len(a.Secret) != SecretSize {
		t.Errorf("got %x and %x", a.Cluster, b.Cluster)
	}
	if shown := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(shown, string(a.Secret)) {
		t.Error("printing a Root shows the secret")
	}
}

// TestDamagedRoot opens what is not a Root sealed by the key.
func TestDamagedRoot(t *testing.T) {
	root := NewRoot("1.4.0")
	stored := sealRoot(t, root, encryption1)
	if bytes.Contains(stored, []byte(root.Secret)) {
		t.Fatal("the secret is in plaintext")
	}
	refused := func(t *testing.T, encryptionKey []byte, key string, stored []byte) {
		t.Helper()
		if got, err := OpenRoot(encryptionKey, key, stored); !errors.Is(err, ErrSealed) || got != (Root{}) {
			t.Errorf("got %+v, %v, want ErrSealed", got, err)
		}
	}
	t.Run("bit flipped", func(t *testing.T) {
		for i := 1; i < len(stored); i++ {
			for bit := range 8 {
				changed := bytes.Clone(stored)
				changed[i] ^= 1 << bit
				refused(t, encryption1, rootKey, changed)
			}
		}
	})
	t.Run("moved", func(t *testing.T) { refused(t, encryption1, "/other/v", stored) })
	t.Run("other key", func(t *testing.T) { refused(t, encryption2, rootKey, stored) })
	t.Run("truncated", func(t *testing.T) {
		for n := range len(stored) {
			refused(t, encryption1, rootKey, stored[:n])
		}
	})
	t.Run("extended", func(t *testing.T) { refused(t, encryption1, rootKey, append(bytes.Clone(stored), 0)) })
	t.Run("unknown format", func(t *testing.T) {
		for format := range 256 {
			if format == RootFormat {
				continue
			}
			got, err := OpenRoot(encryption1, rootKey, append([]byte{byte(format)}, stored[1:]...))
			if unknown, ok := errors.AsType[*FormatError](err); !ok || unknown.Version != "1.4.0" || got != (Root{}) {
				t.Errorf("format %d: got %+v, %v, want a FormatError", format, got, err)
			}
		}
	})
}

// TestRootVersion checks which versions are sealed, and that no other is displayed.
func TestRootVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.4.0": true, "1.4.0-rc.1+abc_d": true, strings.Repeat("1", maxVersion): true,
		"": false, "1.4 0": false, "1\x1b[2J": false, "１": false, strings.Repeat("1", maxVersion+1): false,
	} {
		if _, err := NewRoot(version).Seal(encryption1, rootKey); (err == nil) != ok {
			t.Errorf("version %q: got %v", version, err)
		}
		newer := append([]byte{99, byte(len(version))}, version...)
		_, err := OpenRoot(encryption1, rootKey, newer)
		unknown, is := errors.AsType[*FormatError](err)
		if !is || unknown.Format != 99 || (unknown.Version == version) != (ok || version == "") {
			t.Errorf("version %q of a newer format: got %v", version, err)
		}
	}
}

// TestRootKeySize rejects keys and secrets of another length.
func TestRootKeySize(t *testing.T) {
	stored := sealRoot(t, NewRoot("1.4.0"), encryption1)
	for _, key := range [][]byte{nil, encryption1[1:]} {
		if _, err := OpenRoot(key, rootKey, stored); err == nil || errors.Is(err, ErrSealed) {
			t.Errorf("opened with %d bytes: got %v, want the reason", len(key), err)
		}
		if _, err := NewRoot("1.4.0").Seal(key, rootKey); err == nil {
			t.Errorf("sealed with %d bytes", len(key))
		}
	}
	if _, err := (Root{Version: "1.4.0"}).Seal(encryption1, rootKey); err == nil {
		t.Error("sealed without a secret")
	}
}

// FuzzOpenRoot opens any bytes. Only the sealed Root opens.
func FuzzOpenRoot(f *testing.F) {
	root := Root{Cluster: [ClusterIDSize]byte{1}, Secret: secret1, Version: "1.4.0"}
	stored := sealRoot(f, root, encryption1)
	f.Add(stored)
	f.Add(stored[:len(stored)-1])
	f.Add([]byte{RootFormat, 200, '1'})
	f.Add([]byte{99, 1, '1'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		got, err := OpenRoot(encryption1, rootKey, stored)
		if err == nil && got != root || err != nil && got != (Root{}) {
			t.Errorf("%x: got %+v, %v", stored, got, err)
		}
	})
}
