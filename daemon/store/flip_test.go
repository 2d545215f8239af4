package store

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

var flips = flag.Int("flips", 40, "how many single-byte flips TestNoFlipGoesUnseen makes")

// TestNoFlipGoesUnseen flips single bytes anywhere in the files of a small store that
// was killed. Whatever Badger makes of it: the process lives, no
// record is wrong, and one that is gone is accounted for.
func TestNoFlipGoesUnseen(t *testing.T) {
	const n = 40
	value := strings.Repeat("v", 200)
	dir := newStateDir(t)
	for range 2 { // the second half stays in the log, the first one is in a table
		s, err := Open(Config{Dir: dir, Key: key1})
		if err != nil {
			t.Fatal(err)
		}
		half := len(contents(t, s, record.Credentials))
		for i := half; i < half+n/2; i++ {
			mustPut(t, s, rec(fmt.Sprintf("name%02d", i), fmt.Sprint(value, i)))
		}
		if half > 0 {
			killed := newStateDir(t)
			copyState(t, killed, dir)
			dir = killed
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}

	type place struct {
		path   string
		offset int
	}
	var places []place
	for path, content := range files(t, dir) {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(bytes.TrimRight([]byte(content), "\x00")) {
			places = append(places, place{rel, i})
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	outcomes := make(map[string]int)
	for _, p := range places[:min(*flips, len(places))] {
		outcomes[flipOne(t, dir, p.path, p.offset, 1<<rnd.IntN(8), n, value)]++
	}
	t.Logf("%d of %d bytes: %v", min(*flips, len(places)), len(places), outcomes)
}

// flipOne flips bits of one byte in a copy of dir, opens it and says what came of it.
func flipOne(t *testing.T, dir, path string, offset int, bits byte, n int, value string) string {
	t.Helper()
	c := Config{Dir: filepath.Join(t.TempDir(), "flipped"), Key: key1}
	copyState(t, c.Dir, dir)
	defer os.RemoveAll(c.Dir)
	f, err := os.OpenFile(filepath.Join(c.Dir, path), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(offset)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ bits}, int64(offset)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	at := fmt.Sprintf("%s at %d", path, offset)
	s, err := Open(c)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return "refused"
	}
	defer s.Close()
	var whole int
	for r, err := range s.All(record.Credentials) {
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		var i int
		if _, err := fmt.Sscanf(r.Key, "name%d", &i); err != nil || string(r.Value) != fmt.Sprint(value, i) {
			t.Errorf("%s: a wrong record %q was served", at, r.Key)
		}
		whole++
	}
	aside, err := filepath.Glob(filepath.Join(c.Dir, "store.broken-*"))
	switch {
	case err != nil:
		t.Fatal(err)
	case len(aside) > 0:
		return "moved aside"
	case whole == n && s.Missing() == 0:
		return "no harm"
	case whole < n && s.Missing() == uint64(n-whole):
		return "noticed"
	}
	t.Errorf("%s: %d of %d records, and %d reported missing", at, whole, n, s.Missing())
	return "unseen"
}
