package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"tokend/daemon/credential"
)

// maxCounters bounds the counters of readers that the server adds to credentials, 16 MB. Beyond it,
// only readers with a counter are counted.
const maxCounters = 1 << 19

// count counts that the peer has read v.
func (s *session) count(v credential.Value) {
	if v.Readers != nil && !v.Readers.Count(s.peer.UID) {
		s.server.firstRead(v.Readers, s.peer.UID)
	}
}

// firstRead counts the first read by uid.
func (s *Server) firstRead(readers *credential.Readers, uid uint32) {
	if !s.counters.enter(maxCounters) {
		return
	}
	if !readers.Add(uid, &s.counters.n) { // another session has added it
		s.counters.leave()
	}
	readers.Count(uid)
}

// usedBy returns the users that have read a credential, as www-data=120,root=3, the most frequent
// first; "" for none.
func usedBy(readers *credential.Readers, names *names) string {
	if readers == nil {
		return ""
	}
	all := readers.List()
	slices.SortFunc(all, func(a, b credential.Reader) int {
		return cmp.Or(cmp.Compare(b.Reads, a.Reads), cmp.Compare(a.UID, b.UID))
	})
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		if r.Rest {
			b.WriteString("others")
		} else {
			b.WriteString(names.of(r.UID))
		}
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(r.Reads, 10))
	}
	return b.String()
}
