package record

// Hold suspends the fetches of a credential for a while and records the reason.
type Hold struct {
	Name string

	// Settings is a digest of the rejected configuration. The hold is dropped when the
	// configuration changes.
	Settings string

	// Reason is the engine's code for the error, Cause the class of WeChat's error. Both are opaque
	// here.
	Reason, Cause uint8

	// ErrCode, Message, RID and Address are from WeChat's answer.
	ErrCode int
	Message string
	RID     string
	Address string

	// Failures counts the consecutive failures before the hold, Quotas those caused by a quota.
	Failures, Quotas int

	// Since is when the error occurred. Until is when the next fetch is allowed. A zero Until means
	// that the hold does not expire.
	Boot         string
	Since, Until Moment
}

// holdVersion is the first byte of an encoded hold:
//
//	version settings reason cause errcode message rid address failures
//	boot since{wall since} until{…} quotas
const holdVersion = 1

// Encode returns the record of h.
func (h Hold) Encode() Record {
	e := make(encoder, 0, len(h.Message)+128)
	e = append(e, holdVersion)
	e.text(h.Settings)
	e.uint(uint64(h.Reason))
	e.uint(uint64(h.Cause))
	e.int(int64(h.ErrCode))
	e.text(h.Message)
	e.text(h.RID)
	e.text(h.Address)
	e.int(int64(h.Failures))
	e.text(h.Boot)
	e.moment(h.Since)
	e.moment(h.Until)
	e.int(int64(h.Quotas))
	return Record{Table: Holds, Key: h.Name, Value: e}
}

// DecodeHold is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeHold(r Record) (Hold, error) {
	d := decode(r.Value, holdVersion)
	h := Hold{Name: r.Key}
	h.Settings = d.text()
	h.Reason = uint8(d.uint())
	h.Cause = uint8(d.uint())
	h.ErrCode = int(d.int())
	h.Message = d.text()
	h.RID = d.text()
	h.Address = d.text()
	h.Failures = int(d.int())
	h.Boot = d.text()
	h.Since, h.Until = d.moment(), d.moment()
	h.Quotas = int(d.int())
	if d.err != nil {
		return Hold{}, d.err
	}
	return h, nil
}
