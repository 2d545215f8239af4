package record

import "time"

// ClaimState is the state of a [Claim].
type ClaimState uint8

// States of a claim.
const (
	// Calling: the host may make calls.
	Calling ClaimState = 1

	// Doubtful: a call may have been sent, and its answer was not stored. WeChat's newest value may
	// be unknown.
	Doubtful ClaimState = 2
)

// Claim is a host's permission for the calls of one fetch, or what is left of it. It is shared
// between hosts and not on a host's disk.
type Claim struct {
	// Name is the key of the record that the calls are to replace, Table its table.
	Name  string
	Table Table

	State ClaimState
	Host  string

	// Epoch identifies the host's session, Nonce the claim among all claims.
	Epoch int64
	Nonce string

	// Begun is when the first call was about to be made, by the host's wall clock.
	Begun time.Time

	// Tries is how many calls of a row have ended in doubt, zero if there is no doubt behind the
	// claim.
	Tries int

	// Repeats reports that WeChat repeats the value, so that nothing is in doubt when the host
	// dies.
	Repeats bool
}

// claimVersion is the first byte of an encoded claim:
//
//	version table state host epoch nonce begun tries flags
const claimVersion = 1

// Encode returns the record of c.
func (c Claim) Encode() Record {
	e := make(encoder, 0, len(c.Host)+len(c.Nonce)+64)
	e = append(e, claimVersion)
	e.text(string(c.Table))
	e.uint(uint64(c.State))
	e.text(c.Host)
	e.int(c.Epoch)
	e.text(c.Nonce)
	e.time(c.Begun)
	e.int(int64(c.Tries))
	if c.Repeats {
		e.uint(1)
	}
	return Record{Table: Claims, Key: c.Name, Value: e}
}

// DecodeClaim is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeClaim(r Record) (Claim, error) {
	d := decode(r.Value, claimVersion)
	c := Claim{
		Name: r.Key, Table: Table(d.text()), State: ClaimState(d.uint()), Host: d.text(), Epoch: d.int(),
		Nonce: d.text(), Begun: d.time(), Tries: int(d.int()),
	}
	c.Repeats = d.uint()&1 != 0
	if d.err == nil && (c.State != Calling && c.State != Doubtful || c.Host == "" || c.Nonce == "") {
		d.fail()
	}
	if d.err != nil {
		return Claim{}, d.err
	}
	return c, nil
}
