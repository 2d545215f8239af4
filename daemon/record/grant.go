package record

import (
	"encoding/binary"
	"slices"
	"time"

	"tokend/fetchers/secret"
)

// Generations is how many earlier values of a grant are stored, newest first. They allow an
// operator to find the value that still works after several failed rotations. Each takes less than
// 600 bytes.
const Generations = 4

// Grant is a customer's authorization: a refresh token or a permanent code. tokend cannot fetch it
// again; only the customer can authorize again.
type Grant struct {
	Name string

	// Generation is the current value. Its zero value means that there is none yet.
	Generation

	// Earlier are the previous values, newest first.
	Earlier []Generation

	// Revoked is when the customer revoked the grant. It is zero if the grant was not revoked after
	// At.
	Revoked time.Time

	// Seed is a digest of the configured value that last seeded the grant. It is empty if the grant
	// was never seeded.
	Seed string

	// Number counts the changes of the grant in a cluster. The grant with the higher Number is the
	// newer one, whatever etcd has. It is zero outside a cluster.
	Number uint64
}

// Generation is one value of a grant.
type Generation struct {
	Value secret.Text

	// At is when the value was granted: the event's own time if there is an event.
	At time.Time

	// Source is the origin: config, put, exchange, event, rotation, list or offer.
	Source string
}

// FromOffer is the Source of a value that came with an answer which could not be stored when it
// came. It is used if WeChat refuses the current value.
const FromOffer = "offer"

// Live reports whether g can be used.
func (g *Grant) Live() bool { return g.Value != "" && g.Revoked.IsZero() }

// Replace makes next the current value, adds the previous one to Earlier and clears Revoked. An
// empty next changes nothing.
func (g *Grant) Replace(next Generation) {
	if next.Value == "" {
		return
	}
	if g.Value != "" && g.Value != next.Value {
		earlier := make([]Generation, min(1+len(g.Earlier), Generations))
		earlier[0] = g.Generation
		copy(earlier[1:], g.Earlier)
		g.Earlier = earlier
	}
	g.Generation = next
	g.Revoked = time.Time{}
}

// Knows reports whether value is g's current value or one of the Earlier ones.
func (g *Grant) Knows(value secret.Text) bool {
	same := func(x Generation) bool { return x.Value == value }
	return same(g.Generation) || slices.ContainsFunc(g.Earlier, same)
}

// Shelve adds older to Earlier without changing the current value.
func (g *Grant) Shelve(older Generation) {
	newer, revoked := g.Generation, g.Revoked
	g.Replace(older)
	g.Replace(newer)
	g.Revoked = revoked
}

// grantVersion is the first byte of an encoded grant:
//
//	version revoked seed n {value at source}… number   (n generations, the current one first)
const grantVersion = 1

// Encode returns the record of g.
func (g Grant) Encode() Record {
	size := grantOverhead + len(g.Seed) + g.encodedSize()
	for i := range g.Earlier {
		size += g.Earlier[i].encodedSize()
	}
	e := make(encoder, 0, size)
	e = append(e, grantVersion)
	e.time(g.Revoked)
	e.text(g.Seed)
	e.uint(uint64(len(g.Earlier)) + 1)
	e.generation(&g.Generation)
	for i := range g.Earlier {
		e.generation(&g.Earlier[i])
	}
	if g.Number != 0 {
		e.uint(g.Number)
	}
	return Record{Table: Grants, Key: g.Name, Value: e}
}

// grantOverhead is the encoded size of a grant without seed and values: version, time, length,
// count and number.
const grantOverhead = 1 + 4*binary.MaxVarintLen64

// encodedSize is the size of x in a record, or slightly more.
func (x *Generation) encodedSize() int { return len(x.Value) + len(x.Source) + 3*binary.MaxVarintLen64 }

func (e *encoder) generation(x *Generation) {
	e.text(string(x.Value))
	e.time(x.At)
	e.text(x.Source)
}

// DecodeGrant is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeGrant(r Record) (Grant, error) {
	d := decode(r.Value, grantVersion)
	d.whole = string(r.Value)
	g := Grant{Name: r.Key, Revoked: d.time(), Seed: d.text()}
	n := d.uint()
	if n < 1 || n > Generations+1 {
		d.fail()
	} else if n > 1 {
		g.Earlier = make([]Generation, 0, n-1)
	}
	for i := uint64(0); i < n && d.err == nil; i++ {
		x := Generation{Value: secret.Text(d.text()), At: d.time(), Source: d.text()}
		if i == 0 {
			g.Generation = x
		} else {
			g.Earlier = append(g.Earlier, x)
		}
	}
	g.Number = d.uint()
	if d.err != nil {
		return Grant{}, d.err
	}
	return g, nil
}

// LiveGrant reports whether the grant in r can be used, like Live, without decoding the whole
// record. It returns the errors of DecodeGrant, except for damage after the current value.
func LiveGrant(r Record) (bool, error) {
	d := decode(r.Value, grantVersion)
	revoked, _, n, value := d.time(), d.skip(), d.uint(), d.skip()
	if n < 1 || n > Generations+1 {
		d.fail()
	}
	return d.err == nil && value > 0 && revoked.IsZero(), d.err
}

// Code is an authorization code that must still be exchanged. WeChat's push of it was acknowledged,
// so WeChat does not send it again.
type Code struct {
	// Owner is the platform or suite, as in credential names.
	Owner string
	Value secret.Text

	// At is the event's time.
	At time.Time

	// Boot is the boot in which the moments were taken. It is empty on systems without boot IDs.
	Boot string

	// Until is when the code expires. Next is the earliest time of the next attempt. Tries is the
	// number of attempts begun. Next and Tries are stored before each call, so a daemon that
	// crashes during a call does not repeat the call at every start.
	Until, Next Moment
	Tries       int

	// Grant is the name of the grant that the exchange returns. It is empty if the push did not
	// name the customer.
	Grant string
}

// codeVersion is the first byte of an encoded code:
//
//	version owner value at boot until{wall since} next{…} tries grant
const codeVersion = 2

// Encode returns the record of c under key. The key must identify the code without revealing it.
func (c Code) Encode(key string) Record {
	e := encoder{codeVersion}
	e.text(c.Owner)
	e.text(string(c.Value))
	e.time(c.At)
	e.text(c.Boot)
	e.moment(c.Until)
	e.moment(c.Next)
	e.int(int64(c.Tries))
	e.text(c.Grant)
	return Record{Table: Codes, Key: key, Value: e}
}

// DecodeCode is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeCode(r Record) (Code, error) {
	d := decode(r.Value, codeVersion)
	c := Code{Owner: d.text(), Value: secret.Text(d.text()), At: d.time(), Boot: d.text(), Until: d.moment(), Next: d.moment(), Tries: int(d.int()), Grant: d.text()}
	if d.err == nil && (c.Owner == "" || c.Value == "") {
		d.fail()
	}
	if d.err != nil {
		return Code{}, d.err
	}
	return c, nil
}
