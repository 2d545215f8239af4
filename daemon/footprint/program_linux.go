package footprint

import (
	"bufio"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// reclaimProgram releases the pages of the program's own file: code and constants, many of which
// only a start needs. The pages stay in the page cache. When a page is used again, the kernel maps
// it and its neighbors, sixteen pages at once, without reading the disk.
func reclaimProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range untouched(f, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// mapping is a part of the address space.
type mapping struct{ from, to uintptr }

// untouched returns the read-only mappings of a file, from smaps (see proc(5)), whose pages are all
// unmodified. A loader that relocates the program, or a debugger, modifies pages. Releasing them
// would undo the change.
func untouched(smaps io.Reader, path string) (all []mapping) {
	var m mapping
	ok := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		key, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(key, "-"): // an address range; names of fields have no "-"
			fields := strings.SplitN(line, " ", 3)
			from, to, _ := strings.Cut(fields[0], "-")
			var e1, e2 error
			m.from, e1 = parseAddress(from)
			m.to, e2 = parseAddress(to)
			ok = e1 == nil && e2 == nil && m.from < m.to && len(fields) == 3 &&
				(fields[1] == "r-xp" || fields[1] == "r--p") && strings.HasSuffix(line, " "+path)
		case key == "Anonymous" && ok && strings.TrimSpace(value) == "0 kB":
			all = append(all, m)
		}
	}
	return all
}
