package record

import (
	"time"

	"tokend/fetchers/secret"
)

// Moment is a point in time that outlives the process: as the wall clock showed it,
// and as the time since boot, suspend included, that goes with the record's Boot. Within
// one boot the latter decides, because nobody can set it.
type Moment struct {
	Wall  time.Time
	Since time.Duration
}

// Credential is a value of WeChat's and how long it lives.
type Credential struct {
	Name string

	Value secret.Text

	// Boot is the boot in which the moments were taken; empty where the system
	// does not tell boots apart.
	Boot string

	// Issued is when this value was first asked for: the moment before the
	// request was sent. Seen is the same of the last request that was
	// answered with it. End is when it dies.
	Issued, Seen, End Moment

	// Life is the expires_in that came with the value when it was new.
	Life time.Duration

	// Walled reports that the moments were told by the wall clock of another boot than the one in
	// which the value was fetched: they are as right as that clock was.
	Walled bool

	// Aged reports that the value's age was unknown when it was first seen, so
	// that it may die before End.
	Aged bool

	// Stamp is a pushed value's own time, which tells a newer push from an older; zero
	// for what is fetched. Previous is the pushed value before it.
	Stamp    time.Time
	Previous secret.Text

	// Overdue is the end that was recorded when WeChat first repeated the value past it; zero where
	// it has not.
	Overdue Moment

	// Target is what the value was asked of WeChat for, where Name does not say all of it; empty
	// elsewhere.
	Target string
}

// credentialVersion is the first byte of an encoded credential:
//
//	version value boot issued{wall since} seen{…} end{…} life flags stamp previous overdue{…} target
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
	if c.Target != "" {
		e.text(c.Target)
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
