package cluster

import (
	"encoding/json"
	"fmt"
	"slices"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// offer is a change that etcd has not confirmed. What must survive a crash is in the host's own
// store. An offer about a claim is repeated until its outcome is known.
type offer struct {
	Kind  offerKind    `json:"kind"`
	ID    string       `json:"id"`
	Nonce string       `json:"nonce,omitempty"` // of the claim
	Epoch int64        `json:"epoch,omitempty"`
	Name  string       `json:"name,omitempty"` // what the claim is for
	Table record.Table `json:"table,omitempty"`
	Grant string       `json:"grant,omitempty"`

	// Revision is the fencing token of the claim, Tries how many calls have ended in doubt.
	Revision int64 `json:"revision,omitempty"`
	Tries    int   `json:"tries,omitempty"`

	// Records are to be stored. Those of a landing were made of copies of the revisions Base, and
	// with Grant as it was at the revision GrantBase.
	Records   []record.Record `json:"records,omitempty"`
	Base      []int64         `json:"base,omitempty"`
	GrantBase int64           `json:"grant_base,omitempty"`

	// Repeats: the answer is the value that etcd has, which is not stored again. See Store.redated.
	Repeats bool `json:"repeats,omitempty"`

	// What follows is of this run.
	key   string // of the claim; empty if the offer is not about one
	sent  bool   // a call may have been sent
	busy  bool   // somebody makes its transaction; guarded by offers.mu
	txn   Txn    // of a release
	draft *draft // of a landing; nil after a restart

	until   clock.Instant // of the flight: see flight.until; zero after a restart
	lasting bool          // a landing's answer must not be lost: see flight.lasting
	dropped bool          // a landing's value is not put in force: it leaves doubt
}

type offerKind string

const (
	offerLanding offerKind = "landing" // an answer to be stored under the claim
	offerGive    offerKind = "give"    // a claim to be ended without an answer; see decodeOffer
	offerDoubt   offerKind = "doubt"   // doubt to be left, and a grant to be kept, when the claim is free
	offerPut     offerKind = "put"     // a pushed ticket or an accepted code
)

// offerVersion is the first byte of a stored offer. JSON follows.
const offerVersion = 1

func newOffer(kind offerKind, recs []record.Record) *offer {
	return &offer{Kind: kind, ID: newNonce(), Records: recs}
}

// encode returns the record of p in the host's own store.
func (p *offer) encode() record.Record {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // it has only what can be encoded
	}
	return record.Record{Table: record.Offers, Key: p.ID, Value: append([]byte{offerVersion}, b...)}
}

func decodeOffer(r record.Record) (*offer, error) {
	if len(r.Value) == 0 {
		return nil, record.ErrCorrupt
	}
	if r.Value[0] != offerVersion {
		return nil, record.ErrVersion
	}
	p := &offer{lasting: true} // others are not journaled
	if err := json.Unmarshal(r.Value[1:], p); err != nil {
		return nil, fmt.Errorf("%w: %v", record.ErrCorrupt, err)
	}
	switch {
	case p.Kind == offerLanding && len(p.Base) != len(p.Records):
		return nil, record.ErrCorrupt
	case p.Kind == offerGive:
		p.Kind = offerDoubt // the session of the claim is over, and another host may have called since
	}
	return p, nil
}

// deletion returns what deletes p from the host's own store.
func (p *offer) deletion() record.Record { return record.Record{Table: record.Offers, Key: p.ID} }

// grant returns the grant that p stores; nil if it stores none.
func (p *offer) grant() *record.Grant { return grantIn(p.Records) }

// grantIn returns the grant among recs; nil if there is none.
func grantIn(recs []record.Record) *record.Grant {
	for _, r := range recs {
		if r.Table == record.Grants && r.Value != nil {
			if g, err := record.DecodeGrant(r); err == nil {
				return &g
			}
		}
	}
	return nil
}

// answers reports whether p is about an answer with a value, not a refusal.
func (p *offer) answers() bool {
	return p.Repeats || slices.ContainsFunc(p.Records, func(r record.Record) bool { return r.Table != record.Holds && r.Value != nil })
}

// settles reports whether nothing of the calls before p is unknown any more: there is an answer, or
// WeChat does not know the code.
func (p *offer) settles() bool {
	return p.answers() && !p.dropped || slices.ContainsFunc(p.Records, func(r record.Record) bool { return r.Table == record.Codes && r.Value == nil })
}

// claim returns p's claim in a state.
func (p *offer) claim(h *Host, state record.ClaimState, tries int) record.Claim {
	return record.Claim{
		Name: p.Name, Table: p.Table, State: state, Host: h.cfg.Host, Epoch: p.Epoch, Nonce: p.Nonce, Begun: h.cfg.Clock.Time(), Tries: tries,
	}
}
