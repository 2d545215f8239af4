package store

import (
	"encoding/binary"
	"slices"

	"tokend/daemon/record"
)

// formatRevision is the first byte of a value with a revision:
//
//	format revision[8] value
//
// Below Put and the reads, that is the value: the journal, backups and a change of the key contain
// it as a whole, and a sealed store seals it. Values without a revision have no format. They begin
// with the version of their record, which is never this high, so a tokend that does not know
// revisions reports a record of a newer version.
const formatRevision = 0xff

const revisionSize = 1 + 8

// withRevisions returns recs with what is stored as their values.
func withRevisions(recs []record.Record) []record.Record {
	if !slices.ContainsFunc(recs, hasRevision) {
		return recs
	}
	recs = slices.Clone(recs) // the caller's are not changed
	for i, r := range recs {
		if hasRevision(r) {
			dst := append(make([]byte, 0, revisionSize+len(r.Value)), formatRevision)
			dst = binary.BigEndian.AppendUint64(dst, uint64(r.Revision))
			recs[i].Value = append(dst, r.Value...)
		}
	}
	return recs
}

// hasRevision reports whether the stored value of r has a revision. A deletion stores none.
func hasRevision(r record.Record) bool { return r.Revision != 0 && r.Value != nil }

// setValue sets value and revision of r from what is stored. The value is part of stored.
func setValue(r *record.Record, stored []byte) {
	r.Value = stored
	if len(stored) >= revisionSize && stored[0] == formatRevision {
		r.Revision = int64(binary.BigEndian.Uint64(stored[1:]))
		r.Value = stored[revisionSize:]
	}
}
