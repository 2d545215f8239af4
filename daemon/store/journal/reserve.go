package journal

import (
	"errors"
	"io/fs"
	"syscall"
)

// When a file grows, making it durable requires several dependent writes, because the file system
// must also write block locations. The journal's file is therefore longer than its frames. It ends
// with zeros, which the next frames overwrite, so that a sync writes only those. It also lets a
// full disk take some hundred more grants.

const (
	// A journal reserves as much space as was appended since its last compaction, so that
	// extensions are rare under load, within leastSpace and mostSpace. At least half of it is
	// always free.
	leastSpace = 256 << 10
	mostSpace  = 2 << 20
)

// zeros is the content of reserved space.
var zeros [64 << 10]byte

// reserve ensures space for n bytes and some more. If that fails, the write itself reports it. mu
// is held.
func (j *Journal) reserve(n int64) {
	space := min(max(j.end-j.base, leastSpace), mostSpace)
	if j.end+n+space/2 <= j.reserved || j.yields {
		return
	}
	err := j.extend(j.end + n + space)
	if err != nil && space > leastSpace && j.end+n+leastSpace/2 > j.reserved {
		err = j.extend(j.end + n + leastSpace)
	}
	j.tight = err != nil && j.end+n+leastSpace/2 > j.reserved
}

// extend extends the reserved space up to an offset. On failure it leaves the space unchanged: the
// rest of a full disk is for the compaction, which frees space. mu is held.
func (j *Journal) extend(to int64) error {
	was := j.reserved
	err := allocate(j.f.File, was, to-was)
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil // the writes below detect a full disk
	}
	for err == nil && j.reserved < to {
		var wrote int
		wrote, err = j.f.WriteAt(zeros[:min(to-j.reserved, int64(len(zeros)))], j.reserved)
		j.reserved += int64(wrote)
	}
	if err != nil && j.reserved > was && j.f.Truncate(was) == nil {
		j.reserved = was
	}
	return err
}

// Sparse reports whether a file has fewer blocks on disk than its length needs, as a copy with
// holes instead of zeros does.
func Sparse(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(stat.Blocks)*512 < info.Size()
}

// Tight reports whether the disk had no space left to reserve. A compaction may free some.
func (j *Journal) Tight() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tight
}

// giveBack releases the reserved space if the disk is full, until take. A compaction needs some of
// it and frees more.
func (j *Journal) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tight && j.f != nil {
		_ = j.cut() // the compaction reports errors
		j.yields = true
	}
}

// take ends giveBack.
func (j *Journal) take() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.yields = false
}

// cut truncates the file to the end of the last frame. mu is held.
func (j *Journal) cut() error {
	err := j.f.Truncate(j.end)
	if err == nil {
		j.reserved = j.end
	}
	return err
}
