package record

// Hold is what must not be asked of WeChat for a while, and why.
type Hold struct {
	Name string

	// Settings is the digest of the configuration that was refused; the hold is
	// forgotten when another one is in force.
	Settings string

	// Reason is the engine's word for the error, Cause the class of WeChat's
	// refusal; both are opaque here.
	Reason, Cause uint8

	// ErrCode, Message, RID and Address are what WeChat said.
	ErrCode int
	Message string
	RID     string
	Address string

	// Failures counts the failures in a row that led here, Quotas those of them that were
	// refusals by a quota.
	Failures, Quotas int

	// Since is when the refusal came; Until when WeChat may be asked again.
	// A zero Until stands for "not of itself".
	Boot         string
	Since, Until Moment
}

// holdVersion is the first byte of an encoded hold:
//
//	version settings reason cause errcode message rid address failures boot since{wall since} until{…} quotas
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
