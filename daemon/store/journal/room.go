package journal

// To make durable what makes a file longer, a file system has to write where its bytes lie too, in several writes that wait
// for each other. So the file is longer than its frames: behind the last one are zeros, over which the next are written, and
// those alone are then synced. And a full disk still takes some hundred grants.

const (
	// A journal is to have as much room as has been appended to it since its last compaction, so that it is seldom
	// made where much comes, but leastRoom at the least and mostRoom at the most. Half of it is always there.
	leastRoom = 256 << 10
	mostRoom  = 2 << 20
)

// zeros is what room is made of.
var zeros [64 << 10]byte

// reserve sees to it that there is room for n bytes and some more. Where that cannot be had, the
// write itself tells. mu is held.
func (j *Journal) reserve(n int64) {
	room := min(max(j.end-j.base, leastRoom), mostRoom)
	if j.end+n+room/2 <= j.reserved {
		return
	}
	var err error
	for to := j.end + n + room; err == nil && j.reserved < to; {
		var wrote int
		wrote, err = j.f.WriteAt(zeros[:min(to-j.reserved, int64(len(zeros)))], j.reserved)
		j.reserved += int64(wrote)
	}
	j.tight = err != nil
}

// Tight reports whether the disk had no room left to be reserved for entries to come: a compaction
// may make some.
func (j *Journal) Tight() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tight
}

// giveBack gives up the room reserved ahead if the disk has no other: a compaction needs some of it, and
// makes more.
func (j *Journal) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tight && j.f != nil {
		_ = j.cut() // the compaction will tell
	}
}

// cut makes the file end with the last frame. mu is held.
func (j *Journal) cut() error {
	err := j.f.Truncate(j.end)
	if err == nil {
		j.reserved = j.end
	}
	return err
}
