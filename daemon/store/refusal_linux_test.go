package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// TestOpenOnRejectingDisk opens a store on a disk that rejects everything from some call on.
// Whichever call it is, nothing is moved aside or lost, not even replaceable records, and the error
// names the disk.
func TestOpenOnRejectingDisk(t *testing.T) {
	needTools(t, "strace")
	const syncs = "fsync,fdatasync,msync,sync_file_range"
	// Created in this process: children of other tests briefly inherit a lock when they start.
	whole, want := Config{Dir: newStateDir(t), Key: key1}, map[string]string{"a": "1", "b": "2"}
	filled(t, whole, rec("a", want["a"]))
	filled(t, whole, rec("b", want["b"]), grant("g", "1"))
	for _, errno := range []string{"EIO", "ENOSPC", "EROFS"} {
		for when := 1; when <= rounds(4, 16); when++ {
			t.Run(fmt.Sprintf("%s from the %d. sync on", errno, when), func(t *testing.T) {
				t.Parallel()
				c := Config{Dir: newStateDir(t), Key: key1}
				copyState(t, c.Dir, whole.Dir)
				for range 2 { // a second start must not find damage by the first
					cmd := child(t, "open", c.Dir, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+syncs,
						"-e", fmt.Sprintf("inject=%s:error=%s:when=%d+", syncs, errno, when))
					out, err := cmd.Output()
					said := string(out)
					if err != nil {
						t.Fatalf("%v\n%s", err, said)
					}
					if strings.Contains(said, "refused: ") == strings.Contains(said, "opened\n") {
						t.Errorf("got %q", said)
					}
					if _, refusal, ok := strings.Cut(said, "refused: "); ok {
						if strings.Count(refusal, "\n") != 1 || !strings.Contains(refusal, "disk") || !strings.Contains(refusal, c.Dir) {
							t.Errorf("want one line that names the disk, got\n%s", refusal)
						}
					}
				}
				if aside, _ := filepath.Glob(filepath.Join(c.Dir, "*.broken-*")); len(aside) > 0 {
					t.Errorf("treated as damage: %v", aside)
				}
				s := newTestStore(t, c)
				wantTable(t, s, record.Credentials, want)
				wantTable(t, s, record.Grants, map[string]string{"g": "1"})
			})
		}
	}
}
