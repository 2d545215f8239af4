package server

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	osuser "os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// A user of a host may have ranges of subordinate uids (subuid(5)), 65536 each, and use any of them
// in a user namespace. The limits for each user count all of them as one user. Rights are still
// those of the peer's own uid.

// subordinate is a range of uids that count as one user.
type subordinate struct {
	first, last uint32
	user        uint32
}

// ReadSubuids reads the file that Config.Subuids names, for new connections. It replaces what was
// read before, and ignores malformed lines.
func (s *Server) ReadSubuids() {
	if s.cfg.Subuids == "" {
		return
	}
	text, err := os.ReadFile(s.cfg.Subuids)
	level := hclog.Warn
	if errors.Is(err, fs.ErrNotExist) {
		level = hclog.Debug // most hosts without containers have none
	}
	if err != nil {
		s.log.Log(level, "no ranges of subordinate uids known: each uid counts as a user", "error", err)
	}
	all, malformed := parseSubuids(string(text), lookupUser)
	if len(malformed) > 0 {
		s.log.Warn("ignoring malformed lines of subordinate uids", "file", s.cfg.Subuids, "first_line", malformed[0], "lines", len(malformed))
	}
	s.users.setSubordinates(all)
}

// lookupUser returns the uid of a login name.
func lookupUser(name string) (uint32, bool) {
	u, err := osuser.Lookup(name)
	if err != nil {
		return 0, false
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(uid), err == nil
}

// parseSubuids returns the ranges in text, in the form of subuid(5), sorted and without overlap,
// and the numbers of malformed lines. A range belongs to the user that it names, by login name or
// by number. If there is no such user, the range belongs to its first uid.
func parseSubuids(text string, lookup func(name string) (uint32, bool)) (all []subordinate, malformed []int) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, ok := parseSubuid(line, lookup)
		if !ok {
			malformed = append(malformed, i+1)
			continue
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b subordinate) int { return cmp.Compare(a.first, b.first) })
	apart := all[:0]
	for _, r := range all {
		if n := len(apart); n > 0 && r.first <= apart[n-1].last {
			if r.last <= apart[n-1].last {
				continue
			}
			r.first = apart[n-1].last + 1
		}
		apart = append(apart, r)
	}
	return apart, malformed
}

func parseSubuid(line string, lookup func(name string) (uint32, bool)) (r subordinate, ok bool) {
	f := strings.Split(line, ":")
	if len(f) != 3 || f[0] == "" {
		return r, false
	}
	first, err := strconv.ParseUint(f[1], 10, 32)
	count, countErr := strconv.ParseUint(f[2], 10, 32)
	if err != nil || countErr != nil || count == 0 || first+count-1 > 1<<32-1 {
		return r, false
	}
	r = subordinate{first: uint32(first), last: uint32(first + count - 1), user: uint32(first)}
	if uid, err := strconv.ParseUint(f[0], 10, 32); err == nil {
		r.user = uint32(uid)
	} else if uid, ok := lookup(f[0]); ok {
		r.user = uid
	}
	return r, true
}

func (us *users) setSubordinates(all []subordinate) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.subordinates = all
}

// ownerLocked returns the uid of the user that uid counts as. No subordinate uid counts as an
// operator: uids that root has assigned to containers have no more rights than others. us.mu is
// held.
func (us *users) ownerLocked(uid uint32) uint32 {
	if us.operator(uid) {
		return uid
	}
	i, found := slices.BinarySearchFunc(us.subordinates, uid, func(r subordinate, uid uint32) int {
		switch {
		case r.last < uid:
			return -1
		case r.first > uid:
			return 1
		}
		return 0
	})
	if !found {
		return uid
	}
	r := us.subordinates[i]
	for _, owner := range []uint32{r.user, r.first, r.last} {
		if !us.operator(owner) {
			return owner
		}
	}
	return uid
}

// operator reports whether uid is root's or the daemon's own.
func (us *users) operator(uid uint32) bool { return uid == 0 || uid == us.self }
