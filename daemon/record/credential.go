package record

import (
	"time"

	"tokend/fetchers/secret"
)

// Moment is a point in time that is still meaningful after a restart: the wall clock, and the time
// since boot with suspend included. Since belongs to the record's Boot. Within one boot, Since
// decides, because nobody can set it.
type Moment struct {
	Wall  time.Time
	Since time.Duration
}

// Credential is a WeChat value and its lifetime.
type Credential struct {
	Name string

	Value secret.Text

	// Boot is the boot in which the moments were taken. It is empty on systems without boot IDs.
	Boot string

	// Issued is the moment before the request that first returned this value was sent. Seen is the
	// same moment of the last request that returned the value. End is when the value expires.
	Issued, Seen, End Moment

	// Life is the expires_in of the answer that first contained the value.
	Life time.Duration

	// Walled reports that the moments were converted from the wall clock of an earlier boot. They
	// are as accurate as that clock was.
	Walled bool

	// Aged reports that the value was of unknown age when first seen, so it may expire before End.
	Aged bool

	// Stamp is the time stamp of a pushed value, zero for fetched values. The newer push has the
	// later Stamp. Previous is the value that was pushed before this one.
	Stamp    time.Time
	Previous secret.Text

	// Overdue is the recorded end at the time when WeChat first repeated the value after that end.
	// It is zero if WeChat has not done so.
	Overdue Moment

	// Target identifies what the value was fetched for if Name alone does not. It is empty
	// otherwise.
	Target string

	// By is the host that fetched the value. Call identifies the call that returned it among the
	// calls of all hosts, so that a host recognizes its own write. Both are empty outside a
	// cluster.
	By, Call string
}

// credentialVersion is the first byte of an encoded credential:
//
//	version value boot issued{wall since} seen{…} end{…} life flags stamp previous overdue{…} target
//	by call
const credentialVersion = 1

// Encode returns the record of c.
func (c Credential) Encode() Record {
	e := make(encoder, 0, len(c.Value)+len(c.Boot)+64)
	e = append(e, credentialVersion)
	e.text(string(c.Value))
	e.text(c.Boot)
	for _, m := range [...]Moment{c.Issued, c.Seen, c.End} {
		e.moment(m)
	}
	e.int(int64(c.Life))
	e.uint(flag(c.Aged, 1) | flag(c.Walled, 2))
	e.time(c.Stamp)
	e.text(string(c.Previous))
	e.moment(c.Overdue)
	if shared := c.By != "" || c.Call != ""; c.Target != "" || shared {
		e.text(c.Target)
		if shared {
			e.text(c.By)
			e.text(c.Call)
		}
	}
	return Record{Table: Credentials, Key: c.Name, Value: e}
}

// DecodeCredential is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeCredential(r Record) (Credential, error) {
	d := decode(r.Value, credentialVersion)
	c := Credential{Name: r.Key}
	c.Value = secret.Text(d.text())
	c.Boot = d.text()
	c.Issued, c.Seen, c.End = d.moment(), d.moment(), d.moment()
	c.Life = time.Duration(d.int())
	flags := d.uint()
	c.Aged, c.Walled = flags&1 != 0, flags&2 != 0
	c.Stamp = d.time()
	c.Previous = secret.Text(d.text())
	c.Overdue = d.moment()
	c.Target = d.text()
	c.By, c.Call = d.text(), d.text()
	if d.err != nil {
		return Credential{}, d.err
	}
	if c.Value == "" || c.End.Wall.IsZero() {
		return Credential{}, ErrCorrupt
	}
	return c, nil
}

func (e *encoder) moment(m Moment) {
	e.time(m.Wall)
	e.int(int64(m.Since))
}

func (d *decoder) moment() Moment {
	return Moment{Wall: d.time(), Since: time.Duration(d.int())}
}

func flag(set bool, bit uint64) uint64 {
	if set {
		return bit
	}
	return 0
}
