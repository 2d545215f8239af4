package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMarkTornWrite damages the slot written last: the previous number remains.
func TestMarkTornWrite(t *testing.T) {
	for last := uint64(4); last <= 5; last++ { // both slots
		dir := t.TempDir()
		m, _, _, err := openMark(dir)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, markFile)
		var before []byte
		for n := last - 2; n <= last; n++ {
			if before, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if err := m.set(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wrote, first := 0, len(after)
		for i := range after {
			if i >= len(before) || after[i] != before[i] {
				wrote, first = wrote+1, min(first, i)
			}
		}
		if wrote == 0 || wrote > markSize {
			t.Errorf("%d: wrote over %d bytes of another slot", last, wrote)
		}
		xor(t, path, int64(first), 1)
		m, got, damaged, err := openMark(dir)
		if err != nil || got != last-1 || !damaged {
			t.Errorf("got %d, damaged: %t, %v; want %d", got, damaged, err, last-1)
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
	}
}
