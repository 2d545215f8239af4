package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tokend/fetchers/secret"
)

// Fixed secrets.
var (
	secret1 = secret.Text(strings.Repeat("1", SecretSize))
	secret2 = secret.Text(strings.Repeat("2", SecretSize))
)

const (
	key1  = "/tokend/c/4kqYpZ0SLnXVDiPlQYpv2A"
	name1 = "official_account/wx1/access_token"
)

func newSealer(t testing.TB, s secret.Text) *Sealer {
	t.Helper()
	x, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestSealedOpens checks that every host opens what any host sealed.
func TestSealedOpens(t *testing.T) {
	a, b := newSealer(t, secret1), newSealer(t, secret1)
	for _, record := range [][]byte{{}, []byte("r"), bytes.Repeat([]byte("r"), 5000)} {
		for _, name := range []string{"", "n", name1, strings.Repeat("n", 300)} {
			gotName, got, err := b.Open(key1, a.Seal(key1, name, record))
			if err != nil || gotName != name || !bytes.Equal(got, record) {
				t.Errorf("got %q, %q, %v, want %q, %q", gotName, got, err, name, record)
			}
		}
	}
}

// TestSecretSize rejects a secret that is no cluster's.
func TestSecretSize(t *testing.T) {
	for _, s := range []secret.Text{"", secret1[1:], secret1 + "1"} {
		if _, err := New(s); err == nil {
			t.Errorf("accepted a secret of %d bytes", len(s))
		}
	}
}

// TestDamagedNotOpened opens what no host has sealed under that key.
func TestDamagedNotOpened(t *testing.T) {
	x := newSealer(t, secret1)
	stored := x.Seal(key1, name1, []byte("record"))
	refused := func(t *testing.T, x *Sealer, key string, stored []byte) {
		t.Helper()
		name, record, err := x.Open(key, stored)
		if !errors.Is(err, ErrSealed) || name != "" || record != nil {
			t.Errorf("got %q, %q, %v, want ErrSealed", name, record, err)
		}
	}
	t.Run("bit flipped", func(t *testing.T) {
		for i := range stored {
			for bit := range 8 {
				changed := bytes.Clone(stored)
				changed[i] ^= 1 << bit
				if i == 0 {
					unknownFormat(t, x, changed)
				} else {
					refused(t, x, key1, changed)
				}
			}
		}
	})
	t.Run("moved", func(t *testing.T) {
		for _, key := range []string{"", key1[:len(key1)-1], key1 + "A", strings.Replace(key1, "/c/", "/g/", 1), "/other" + key1[len("/tokend"):]} {
			refused(t, x, key, stored)
		}
	})
	t.Run("other secret", func(t *testing.T) { refused(t, newSealer(t, secret2), key1, stored) })
	t.Run("truncated", func(t *testing.T) {
		for n := range len(stored) {
			refused(t, x, key1, stored[:n])
		}
	})
	t.Run("extended", func(t *testing.T) { refused(t, x, key1, append(bytes.Clone(stored), 0)) })
	t.Run("empty", func(t *testing.T) {
		refused(t, x, key1, nil)
		refused(t, x, key1, []byte{})
	})
	t.Run("name longer than the value", func(t *testing.T) {
		for _, plain := range []string{"", "\x80", "\x02n", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01n"} {
			head := append([]byte{formatRecord}, x.salt...)
			refused(t, x, key1, x.sealer.Seal(head, nil, []byte(plain), []byte(key1)))
		}
	})
	t.Run("unknown format", func(t *testing.T) {
		for format := range 256 {
			if format != formatRecord {
				unknownFormat(t, x, append([]byte{byte(format)}, stored[1:]...))
			}
		}
	})
	if n := len(x.openers); n != 0 {
		t.Errorf("damaged values use memory: %d ciphers remembered", n)
	}
	if name, record, err := x.Open(key1, stored); err != nil || name != name1 || string(record) != "record" {
		t.Errorf("intact: got %q, %q, %v", name, record, err)
	}
}

func unknownFormat(t *testing.T, x *Sealer, stored []byte) {
	t.Helper()
	name, record, err := x.Open(key1, stored)
	var unknown *FormatError
	if !errors.As(err, &unknown) || unknown.Format != stored[0] || name != "" || record != nil {
		t.Errorf("format %d: got %q, %q, %v, want a FormatError", stored[0], name, record, err)
	}
}

// TestID checks what an ID depends on: the secret, the table and the name.
func TestID(t *testing.T) {
	x := newSealer(t, secret1)
	id := x.ID("c", name1)
	if len(id) != 22 || strings.ContainsAny(id, "/+=") {
		t.Errorf("got %q, want 22 characters that need no escape in a path", id)
	}
	if got := newSealer(t, secret1).ID("c", name1); got != id {
		t.Errorf("differs between hosts: %q and %q", got, id)
	}
	others := map[string]string{
		"secret":   newSealer(t, secret2).ID("c", name1),
		"table":    x.ID("g", name1),
		"name":     x.ID("c", name1+"2"),
		"boundary": x.ID("co", name1[1:]),
	}
	for what, other := range others {
		if other == id {
			t.Errorf("another %s has the same ID", what)
		}
	}
}

// TestPlaintextAbsent checks that nothing of names and records is in what is stored, and that equal
// records differ there.
func TestPlaintextAbsent(t *testing.T) {
	x := newSealer(t, secret1)
	record := []byte("record-of-a-customer")
	one, two := x.Seal(key1, name1, record), x.Seal(key1, name1, record)
	for _, plain := range [][]byte{record, []byte(name1), []byte(secret1)} {
		if bytes.Contains(one, plain) {
			t.Errorf("contains %q", plain)
		}
	}
	if bytes.Equal(one[1+saltSize:], two[1+saltSize:]) {
		t.Error("equal records have equal values")
	}
	if other := newSealer(t, secret1).Seal(key1, name1, record); bytes.Equal(one[1:1+saltSize], other[1:1+saltSize]) {
		t.Error("two runs have one salt")
	}
}

// TestFormatFrozen opens a value and compares an ID from the first version. All hosts of a cluster
// must agree on both.
func TestFormatFrozen(t *testing.T) {
	x := newSealer(t, secret1)
	if got, want := x.ID("c", name1), "TuQKgWFGQrLbgrNB8NY2gg"; got != want {
		t.Errorf("ID: got %s, want %s", got, want)
	}
	stored, err := hex.DecodeString("01fef71f82c6cb9a803895fd2c42e05719c47729d2e8328fa63d0dc1e4a390b168b135a8af8dc51d" +
		"2ebafc899df9c99c1444513a17d4a272c34c11f10813673fda2a4fcd8da9807b0fabee2168d188de" +
		"9ca1156a44")
	if err != nil {
		t.Fatal(err)
	}
	if name, record, err := x.Open(key1, stored); err != nil || name != name1 || string(record) != "record" {
		t.Errorf("got %q, %q, %v", name, record, err)
	}
}

// TestOpenersBounded opens values of more runs than a Sealer remembers, by several goroutines.
func TestOpenersBounded(t *testing.T) {
	reader := newSealer(t, secret1)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for run := range maxOpeners / 2 {
				name := fmt.Sprintf("%d/%d", worker, run)
				x, err := New(secret1)
				if err != nil {
					t.Error(err)
					return
				}
				stored := x.Seal(key1, name, nil)
				for range 2 {
					if got, _, err := reader.Open(key1, stored); err != nil || got != name {
						t.Errorf("got %q, %v, want %q", got, err, name)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(reader.openers); n != maxOpeners {
		t.Errorf("%d ciphers remembered, want %d", n, maxOpeners)
	}
}

// FuzzOpen opens any bytes. Only what was sealed opens, under its own key.
func FuzzOpen(f *testing.F) {
	x := newSealer(f, secret1)
	stored := x.Seal(key1, name1, []byte("record"))
	f.Add(key1, stored)
	f.Add(key1+"A", stored)
	f.Add(key1, stored[:len(stored)-1])
	f.Add(key1, []byte{formatRecord})
	f.Add(key1, []byte{})
	f.Fuzz(func(t *testing.T, key string, stored []byte) {
		name, record, err := x.Open(key, stored)
		switch {
		case err == nil && (key != key1 || name != name1 || string(record) != "record"):
			t.Errorf("%x opened under %q as %q, %q", stored, key, name, record)
		case err != nil && (name != "" || record != nil):
			t.Errorf("got %q, %q with error %v", name, record, err)
		}
	})
}
