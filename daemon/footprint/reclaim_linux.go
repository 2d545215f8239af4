package footprint

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reclaim asks the kernel to take back the pages of mapped files: what was read once, at the start,
// stands in the page cache and is counted as this process's.
func reclaim() {
	reclaimTables()
	reclaimProgram()
}

// reclaimTables lets go of a database's. The advice harms no memory, whatever is mapped there by
// the time it is given.
func reclaimTables() {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if from, to, ok := mappedTable(lines.Text()); ok {
			// A kernel before 5.4 does not know it, and nothing is lost.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT)
		}
	}
}

// mappedTable returns where a line of /proc/self/maps says that a file of a database is mapped.
func mappedTable(line string) (from, to uintptr, ok bool) {
	if !strings.HasSuffix(line, ".sst") {
		return 0, 0, false
	}
	span, _, _ := strings.Cut(line, " ")
	low, high, _ := strings.Cut(span, "-")
	from, err := parseAddress(low)
	if err != nil {
		return 0, 0, false
	}
	to, err = parseAddress(high)
	return from, to, err == nil && from < to
}

func parseAddress(hex string) (uintptr, error) {
	n, err := strconv.ParseUint(hex, 16, strconv.IntSize)
	return uintptr(n), err
}
