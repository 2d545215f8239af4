package record

import (
	"encoding/binary"
	"slices"
	"time"

	"tokend/fetchers/secret"
)

// Generations is how many earlier values of a grant are stored, newest first. They allow an
// operator to find the value that still works after several failed rotations. The newest value of
// an authorization stays among them: it tells when that was given. Each takes less than 600 bytes.
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

	// Source is the origin: config, put, exchange, event, rotation, list, offer or answer.
	Source string
}

const (
	// FromRotation is the Source of a value with which WeChat has replaced another.
	FromRotation = "rotation"

	// FromOffer is the Source of a value that came with an answer which could not be stored when it
	// came. It is used if WeChat refuses the current value.
	FromOffer = "offer"

	// FromAnswer is the Source of a FromOffer value from when WeChat refused the one in force. It
	// may be of a later authorization.
	FromAnswer = "answer"
)

// Authorized reports whether x is certainly of an authorization of its own, and not of an answer
// that may have replaced the value of one.
func (x *Generation) Authorized() bool {
	return x.Source != FromRotation && x.Source != FromOffer && x.Source != FromAnswer
}

// Live reports whether g can be used.
func (g *Grant) Live() bool { return g.Value != "" && g.Revoked.IsZero() }

// Replace makes next the current value, adds the previous one to Earlier and clears Revoked. An
// empty next changes nothing.
func (g *Grant) Replace(next Generation) {
	if next.Value == "" {
		return
	}
	last := g.Generation
	g.Generation, g.Revoked = next, time.Time{}
	if last.Value != "" && last.Value != next.Value {
		g.before(last, false)
	}
}

// Recall makes an earlier value the current one, as one with source. It reports false, and changes
// nothing, if g has no such earlier value.
func (g *Grant) Recall(value secret.Text, source string) bool {
	i := slices.IndexFunc(g.Earlier, func(x Generation) bool { return x.Value == value })
	if i < 0 || value == "" {
		return false
	}
	next := g.Earlier[i]
	next.Source = source
	g.Earlier = slices.Delete(slices.Clone(g.Earlier), i, i+1)
	g.Replace(next)
	return true
}

// All returns g's current value and the Earlier ones. The slice is the caller's.
func (g *Grant) All() []Generation { return append([]Generation{g.Generation}, g.Earlier...) }

// Knows reports whether value is g's current value or one of the Earlier ones.
func (g *Grant) Knows(value secret.Text) bool {
	same := func(x Generation) bool { return x.Value == value }
	return same(g.Generation) || slices.ContainsFunc(g.Earlier, same)
}

// Shelve adds x to Earlier, as the newest, without changing the current value. If there are too
// many then, those that were not tried stay longest. The current value itself changes nothing.
func (g *Grant) Shelve(x Generation) {
	switch {
	case g.Value == "":
		g.Generation = x
	case g.Value != x.Value:
		g.before(x, true)
	}
}

// before makes x the newest of the Earlier values. If there are too many then, the oldest is
// dropped, but not the newest of an authorization, unless the current value is of one. untried: a
// value that was not tried is only dropped if there is no other.
func (g *Grant) before(x Generation, untried bool) {
	all := make([]Generation, 1, 1+len(g.Earlier))
	all[0] = x
	all = append(all, g.Earlier...)
	if len(all) > Generations {
		kept := -1
		if !g.Authorized() {
			kept = slices.IndexFunc(all, func(x Generation) bool { return x.Authorized() })
		}
		drop := -1
		for i := range slices.Backward(all) {
			tried := !untried || all[i].Source != FromOffer
			if i != kept && (drop < 0 || tried) {
				if drop = i; tried {
					break
				}
			}
		}
		all = slices.Delete(all, drop, drop+1)
	}
	g.Earlier = all
}

// Merge adds the current value of other to g, and other's earlier values that were not tried. It
// reports whether g has changed. The current value could not be stored when it came. It becomes the
// current value of g if g has none, or if the customer has authorized again since g was revoked: a
// revoked grant is not used, nor its earlier values. A revocation that came before the first value
// stands, unless the value is of a later authorization.
func (g *Grant) Merge(other *Grant) bool {
	changed := g.Value == "" && g.mergeCurrent(other)
	if g.Value != "" {
		for _, x := range slices.Backward(other.Earlier) {
			if x.Source == FromOffer && !g.Knows(x.Value) {
				g.Shelve(x)
				changed = true
			}
		}
	}
	return g.mergeCurrent(other) || changed
}

// Covers reports whether Merge with other would not change g.
func (g *Grant) Covers(other *Grant) bool {
	merged := *g
	return !merged.Merge(other)
}

func (g *Grant) mergeCurrent(other *Grant) bool {
	x, revoked := other.Generation, g.Revoked
	if other.Revoked.After(revoked) {
		revoked = other.Revoked
	}
	again := other.Live() && x.Authorized() && x.At.After(g.Revoked)
	switch {
	case x.Value == "":
		return false
	case g.Value == "", !g.Revoked.IsZero() && again:
		if g.Replace(x); !again {
			g.Revoked = revoked
		}
		return true
	case g.Knows(x.Value):
		return false
	}
	x.Source = FromOffer
	g.Shelve(x)
	return true
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
