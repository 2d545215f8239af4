package store

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tokend/daemon/record"
)

var flips = flag.String("flips", "40", "how many single-byte flips TestFlipsDetected makes: a number, all, or a part of them such as 1/4")

// behind is how many bytes after a file's content are flipped too. Logs are longer than their
// content, and a reader may look there.
const behind = 64

// TestFlipsDetected flips single bytes anywhere in the state directory of a small killed store.
// In each case the process survives, no record is wrong, no grant is lost, other losses are
// accounted for, and the store keeps working.
func TestFlipsDetected(t *testing.T) { newSmallStore(t).flips(t) }

// TestFlipsNotReadAhead does the same to a store that was closed, and also reads it before the
// journal and the database are compared.
func TestFlipsNotReadAhead(t *testing.T) {
	small := newSmallStore(t)
	small.dir, small.ahead = small.ended, true
	small.flips(t)
}

// flips flips as many bytes as the flag selects.
func (small smallStore) flips(t *testing.T) {
	type spot struct {
		path   string
		offset int
	}
	var spots []spot
	all := files(t, small.dir)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		content := all[path]
		rel, err := filepath.Rel(small.dir, path)
		if err != nil {
			t.Fatal(err)
		}
		used := len(bytes.TrimRight([]byte(content), "\x00"))
		for i := range min(used+behind, len(content)) {
			spots = append(spots, spot{rel, i})
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(len(spots), func(i, j int) { spots[i], spots[j] = spots[j], spots[i] })
	total := len(spots)
	from, to, err := wantedFlips(total)
	if err != nil {
		t.Fatalf("-flips: %v", err)
	}
	spots = spots[from:to]
	outcomes := make(map[string]map[string]int)
	for i, p := range spots {
		kind := filepath.Base(p.path)
		if ext := filepath.Ext(kind); ext != "" {
			kind = ext
		}
		if outcomes[kind] == nil {
			outcomes[kind] = make(map[string]int)
		}
		outcomes[kind][small.flip(t, p.path, p.offset, 1<<rnd.IntN(8))]++
		if i%2000 == 1999 {
			t.Logf("%d of %d: %v", i+1, len(spots), outcomes)
		}
	}
	t.Logf("%d of %d bytes: %v", len(spots), total, outcomes)
}

// wantedFlips returns the range of n flips that the flag selects.
func wantedFlips(n int) (from, to int, err error) {
	if *faults || *flips == "all" {
		return 0, n, nil
	}
	number, parts, part := strings.Cut(*flips, "/")
	wanted, err := strconv.Atoi(number)
	if err != nil || !part {
		return 0, min(wanted, n), err
	}
	of, err := strconv.Atoi(parts)
	if err == nil && (wanted < 1 || wanted > of) {
		err = fmt.Errorf("no such part: %s", *flips)
	}
	return n * (wanted - 1) / max(of, 1), n * wanted / max(of, 1), err
}

// smallStore is a killed store and its content.
type smallStore struct {
	dir                 string
	ended               string // the same, closed
	ahead               bool   // read before the comparison
	grants, credentials map[string]string
}

func newSmallStore(t *testing.T) smallStore {
	t.Helper()
	small := smallStore{ended: newStateDir(t), grants: map[string]string{}, credentials: map[string]string{}}
	dir := newStateDir(t)
	for half := range 2 { // the first half is in a table, the second in the log
		s, err := Open(Config{Dir: dir, Key: key1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			k := fmt.Sprintf("name%d%d", half, i)
			small.grants[k], small.credentials[k] = "grant "+k+strings.Repeat("g", 100), "token "+k+strings.Repeat("t", 200)
			mustPut(t, s, rec(k, small.credentials[k]))
			mustPut(t, s, grant(k, small.grants[k]))
		}
		if half == 1 {
			eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
			killed := newStateDir(t)
			copyState(t, killed, dir)
			small.dir = killed
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	copyState(t, small.ended, dir)
	return small
}

// flip flips bits of one byte in a copy of the store, opens the copy and returns the outcome.
func (small smallStore) flip(t *testing.T, path string, offset int, bits byte) string {
	t.Helper()
	log, said := logged()
	c := Config{Dir: filepath.Join(t.TempDir(), "flipped"), Key: key1, Logger: log, Ahead: small.ahead}
	copyState(t, c.Dir, small.dir)
	defer os.RemoveAll(c.Dir)
	xor(t, filepath.Join(c.Dir, path), int64(offset), bits)

	at := fmt.Sprintf("%s at %d", path, offset)
	s, err := Open(c)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return "refused"
	}
	small.glance(t, at, s)
	if err := s.Agree(t.Context()); err != nil {
		t.Errorf("%s: %v", at, err)
	}
	outcome := small.judge(t, at, s, said.String())
	// New records are there at the next start.
	mustPut(t, s, grant("later", "1"), rec("later", "1"))
	if err := s.Close(); err != nil {
		t.Errorf("%s: close: %v", at, err)
	}
	again, err := Open(c)
	if err != nil {
		t.Errorf("%s: opened again: %v", at, err)
		return "refused"
	}
	defer again.Close()
	grants := maps.Clone(small.grants)
	grants["later"] = "1"
	if got := contents(t, again, record.Grants); !maps.Equal(got, grants) {
		t.Errorf("%s: opened again: %d of %d grants", at, len(got), len(grants))
	}
	if r, err := again.Get(record.Credentials, "later"); err != nil || string(r.Value) != "1" || again.Missing() > 0 {
		t.Errorf("%s: opened again: got %q, %v, %d missing", at, r.Value, err, again.Missing())
	}
	return outcome
}

// glance checks that no wrong record is read from a store that may not have been compared yet.
func (small smallStore) glance(t *testing.T, at string, s *Store) {
	t.Helper()
	for table, want := range map[record.Table]map[string]string{record.Grants: small.grants, record.Credentials: small.credentials} {
		for k := range want {
			if r, err := s.Get(table, k); err == nil && r.Value != nil && string(r.Value) != want[k] {
				t.Errorf("%s: a wrong %s %q was served", at, table, k)
			}
		}
	}
}

// judge checks the content of a store with a flipped byte, and that losses were logged.
func (small smallStore) judge(t *testing.T, at string, s *Store, said string) string {
	t.Helper()
	for table, want := range map[record.Table]map[string]string{record.Grants: small.grants, record.Credentials: small.credentials} {
		got := contents(t, s, table)
		for k, v := range got {
			if v != want[k] {
				t.Errorf("%s: a wrong %s %q was served", at, table, k)
			}
		}
		if table == record.Grants && len(got) != len(want) {
			t.Errorf("%s: %d of %d grants", at, len(got), len(want))
		}
	}
	alarmed := strings.Contains(said, "[WARN]") || strings.Contains(said, "[ERROR]")
	lost := len(small.credentials) - len(contents(t, s, record.Credentials))
	aside, err := filepath.Glob(filepath.Join(s.dir, "store.broken-*"))
	switch {
	case err != nil:
		t.Fatal(err)
	case len(aside) > 0 && alarmed:
		return "moved aside"
	case lost > 0 && alarmed && s.Missing() >= uint64(lost):
		return "tokens lost and logged"
	case lost == 0 && alarmed: // a grant that was missing has been restored
		return "no harm, logged"
	case lost == 0 && s.Missing() == 0 && !strings.Contains(at, "journal at") && !strings.HasPrefix(at, "store/HEADER"):
		return "no harm"
	}
	t.Errorf("%s: %d tokens lost, %d reported missing, alarmed %t", at, lost, s.Missing(), alarmed)
	return "unseen"
}

// xor flips bits of the byte at offset.
func xor(t *testing.T, path string, offset int64, bits byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ bits}, offset); err != nil {
		t.Fatal(err)
	}
}
