package footprint

import (
	"bufio"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// reclaimProgram lets go of the pages of the program's own file: its code and its constants, of
// which a start runs and reads what is never needed again. They stay in the page cache, and what is
// needed is there again at the first touch, sixteen pages at once, without a disk.
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

// untouched returns where smaps, as in proc(5), says that a file is mapped read-only and that each
// page is still as it is in the file. Where one has been changed all the same, by a loader that has
// moved the program or by a debugger, letting go of it would undo that.
func untouched(smaps io.Reader, path string) (all []mapping) {
	var m mapping
	ok := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		key, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(key, "-"): // of an address, which no field's name has
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
