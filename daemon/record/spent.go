package record

// Spent records that an authorization code was exchanged, and for which customer. Its key
// identifies the code without revealing it.
type Spent struct {
	// Owner is the platform or suite, as in credential names. Child is the customer.
	Owner, Child string

	// Boot is the boot in which the moment was taken. It is empty on systems without boot IDs.
	Boot string

	// Until is when the record may be deleted.
	Until Moment
}

// spentVersion is the first byte of an encoded spent code:
//
//	version owner child boot until{wall since}
const spentVersion = 1

// Encode returns the record of s under key.
func (s Spent) Encode(key string) Record {
	e := encoder{spentVersion}
	e.text(s.Owner)
	e.text(s.Child)
	e.text(s.Boot)
	e.moment(s.Until)
	return Record{Table: Exchanged, Key: key, Value: e}
}

// DecodeSpent is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeSpent(r Record) (Spent, error) {
	d := decode(r.Value, spentVersion)
	s := Spent{Owner: d.text(), Child: d.text(), Boot: d.text(), Until: d.moment()}
	if d.err == nil && (s.Owner == "" || s.Child == "") {
		d.fail()
	}
	if d.err != nil {
		return Spent{}, d.err
	}
	return s, nil
}
