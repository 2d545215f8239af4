package footprint

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestUntouched checks which mappings are released.
func TestUntouched(t *testing.T) {
	const smaps = `00400000-00b00000 r-xp 00000000 fe:00 99                         /usr/bin/tokend
Size:               7168 kB
Rss:                6680 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
00b00000-01200000 r--p 00700000 fe:00 99                         /usr/bin/tokend
Rss:                6548 kB
Anonymous:             0 kB
01200000-01300000 r--p 00e00000 fe:00 99                         /usr/bin/tokend
Rss:                 100 kB
Anonymous:             4 kB
01300000-01400000 rw-p 00f00000 fe:00 99                         /usr/bin/tokend
Anonymous:             0 kB
01400000-01500000 r--p 00f00000 fe:00 99                         /usr/lib/other-tokend
Anonymous:             0 kB
01500000-01600000 r-xp 00f00000 fe:00 99                         /tmp/usr/bin/tokend
Anonymous:             0 kB
7f3713ec0000-7f3714200000 r--p 00000000 00:00 0
Anonymous:             0 kB
00c00000-00b00000 r-xp 00000000 fe:00 99                         /usr/bin/tokend
Anonymous:             0 kB
nonsense-here r-xp 00000000 fe:00 99                         /usr/bin/tokend
Anonymous:             0 kB
Anonymous:             0 kB
`
	got := untouched(strings.NewReader(smaps), "/usr/bin/tokend")
	if want := []mapping{{0x400000, 0xb00000}, {0xb00000, 0x1200000}}; !slices.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestReclaimProgram checks that the program's own pages are released and the program still runs.
func TestReclaimProgram(t *testing.T) {
	before := programPages(t)
	reclaimProgram()
	after := programPages(t)
	t.Logf("pages of the program in memory: %d kB before, %d after", before, after)
	if before == 0 || after >= before {
		t.Errorf("pages of the program in memory: %d kB before, %d after", before, after)
	}
}

// programPages returns the resident size of this program's file, in kB.
func programPages(t *testing.T) (kB int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	own := false
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(fields[0], "-"):
			own = strings.HasSuffix(strings.TrimSpace(line), " "+self)
		case own && fields[0] == "Rss:":
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			kB += n
		}
	}
	return kB
}
