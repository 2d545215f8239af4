package footprint

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reclaim asks the kernel to reclaim pages of mapped files. The start has read them once, and the
// kernel counts them as this process's memory although they are in the page cache.
func reclaim() {
	reclaimTables()
	reclaimProgram()
}

// reclaimTables releases the pages of the database's tables. The advice is harmless, even if
// another file has been mapped at the address since.
func reclaimTables() {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if from, to, ok := mappedTable(lines.Text()); ok {
			// A kernel before 5.4 does not know the advice and ignores the call.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT)
		}
	}
}

// mappedTable returns the address range of a line of /proc/self/maps if the line is of a database's
// table.
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
