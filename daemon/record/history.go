package record

import "time"

// Attempt is one refresh in a History.
type Attempt struct {
	At      time.Time
	Cause   uint8  // the engine's code
	Outcome string // a word of the engine's
	ErrCode int
	RID     string
	Took    time.Duration // whole milliseconds
}

// History is the last refreshes of a credential, newest first, at most [MaxAttempts].
type History struct {
	Name     string
	Attempts []Attempt
}

// Bounds of a History: with them a record has less than 3 KiB.
const (
	MaxAttempts = 20
	maxRID      = 64 // bytes; WeChat's have about 27
)

// historyVersion is the first byte of an encoded history:
//
//	version count {at cause outcome errcode rid milliseconds}...
const historyVersion = 1

// Encode returns the record of h.
func (h History) Encode() Record {
	attempts := h.Attempts[:min(len(h.Attempts), MaxAttempts)]
	e := make(encoder, 0, 2+32*len(attempts))
	e = append(e, historyVersion)
	e.uint(uint64(len(attempts)))
	for _, a := range attempts {
		e.time(a.At)
		e.uint(uint64(a.Cause))
		e.text(a.Outcome)
		e.int(int64(a.ErrCode))
		e.text(a.RID[:min(len(a.RID), maxRID)])
		e.int(a.Took.Milliseconds())
	}
	return Record{Table: Histories, Key: h.Name, Value: e}
}

// DecodeHistory is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeHistory(r Record) (History, error) {
	d := decode(r.Value, historyVersion)
	h := History{Name: r.Key}
	n := d.uint()
	if n > MaxAttempts {
		d.fail()
	}
	for range n {
		if d.err != nil {
			break
		}
		h.Attempts = append(h.Attempts, Attempt{
			At: d.time(), Cause: uint8(d.uint()), Outcome: d.text(), ErrCode: int(d.int()), RID: d.text(),
			Took: time.Duration(d.int()) * time.Millisecond,
		})
	}
	if d.err != nil {
		return History{}, d.err
	}
	return h, nil
}
