package journal

import (
	"errors"
	"io/fs"
	"syscall"
)

// To make durable what makes a file longer, a file system has to write where its bytes lie too, in
// several writes that wait for each other. So the file is longer than its frames: behind the last
// one are zeros, over which the next are written, and those alone are then synced. And a full disk
// still takes some hundred grants.

const (
	// A journal is to have as much room as has been appended to it since its last compaction, so
	// that it is seldom made where much comes, but leastRoom at the least and mostRoom at the most.
	// Half of it is always there.
	leastRoom = 256 << 10
	mostRoom  = 2 << 20
)

// zeros is what room is made of.
var zeros [64 << 10]byte

// reserve sees to it that there is room for n bytes and some more. Where that cannot be had, the
// write itself tells. mu is held.
func (j *Journal) reserve(n int64) {
	room := min(max(j.end-j.base, leastRoom), mostRoom)
	if j.end+n+room/2 <= j.reserved || j.yields {
		return
	}
	err := j.extend(j.end + n + room)
	if err != nil && room > leastRoom && j.end+n+leastRoom/2 > j.reserved {
		err = j.extend(j.end + n + leastRoom)
	}
	j.tight = err != nil && j.end+n+leastRoom/2 > j.reserved
}

// extend makes the room reach up to an offset, or leaves it as it is: what is left of a full disk
// is for the compaction, which makes more of it. mu is held.
func (j *Journal) extend(to int64) error {
	was := j.reserved
	err := allocate(j.f.File, was, to-was)
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil // it is seen by trying
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

// Sparse reports whether a file has fewer blocks on disk than its length takes: it is a copy that
// has holes in the place of zeros.
func Sparse(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(stat.Blocks)*512 < info.Size()
}

// Tight reports whether the disk had no room left to be reserved for entries to come: a compaction
// may make some.
func (j *Journal) Tight() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tight
}

// giveBack gives up the room if the disk has no other, until take: a compaction needs some of it,
// and makes more.
func (j *Journal) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tight && j.f != nil {
		_ = j.cut() // the compaction will tell
		j.yields = true
	}
}

// take ends giveBack.
func (j *Journal) take() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.yields = false
}

// cut makes the file end with the last frame. mu is held.
func (j *Journal) cut() error {
	err := j.f.Truncate(j.end)
	if err == nil {
		j.reserved = j.end
	}
	return err
}
