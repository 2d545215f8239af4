package refresh

import (
	"slices"
	"strings"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// Each code that was exchanged is remembered for an hour, over restarts too: a client that submits
// it again gets the customer's name. WeChat would refuse it, and nobody could tell that from a code
// that never was one.

// spentFor is how long an exchanged code is remembered over restarts: as long as WeChat's codes
// live.
const spentFor = time.Hour

// spend returns what is to be written with what x was exchanged for: that it brought child.
func (e *Engine) spend(x *exchange, child string) record.Record {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	x.forget = e.clock.Now().Add(spentFor)
	e.codes.spent = append(e.codes.spent, x)
	return record.Spent{Owner: x.owner, Child: child, Boot: e.cfg.Boot, Until: e.moment(x.forget)}.Encode(x.key)
}

// retireSpent forgets the exchanged codes that need not be remembered any more, and those that are
// too many. There may be thousands, so their records are not deleted together with what another
// code was exchanged for: etcd would refuse so many at once, and the grant with them. A record that
// cannot be deleted now is deleted after the next start.
func (e *Engine) retireSpent() {
	now := e.clock.Now()
	e.codes.mu.Lock()
	retired := e.codes.retireLocked(now)
	e.codes.mu.Unlock()
	if err := e.deleteCodes(retired); err != nil {
		e.log.Error("cannot delete the records of authorization codes exchanged long ago", "error", err)
	}
}

// retireLocked forgets the codes of retireSpent, and returns what deletes their records. mu is
// held.
func (cs *codes) retireLocked(now clock.Instant) (recs []record.Record) {
	for len(cs.spent) > 0 && (cs.spent[0].forget <= now || len(cs.spent) > codesKnown) {
		x := cs.spent[0]
		recs = append(recs, record.Record{Table: record.Exchanged, Key: x.key})
		if cs.known[x.key] == x {
			delete(cs.known, x.key)
		}
		cs.spent = cs.spent[1:]
	}
	return recs
}

// loadSpent takes over which codes were exchanged.
func (e *Engine) loadSpent() {
	kept, errs := readTable(e.cfg.Store, record.Exchanged, e.keptSpent)
	for _, err := range errs {
		e.log.Error("cannot read the record of an exchanged authorization code: the code is treated as new", "error", err)
	}
	slices.SortFunc(kept, func(a, b *exchange) int {
		if a.forget != b.forget {
			return int(min(max(a.forget.Sub(b.forget), -1), 1))
		}
		return strings.Compare(a.key, b.key)
	})
	e.codes.mu.Lock()
	e.codes.spent = kept
	for _, x := range kept {
		e.codes.rememberLocked(x)
	}
	e.codes.mu.Unlock()
	e.retireSpent()
}

// keptSpent returns the exchange that r tells of.
func (e *Engine) keptSpent(r record.Record) (*exchange, error) {
	s, err := record.DecodeSpent(r)
	if err != nil {
		return nil, err
	}
	return &exchange{
		owner: s.Owner, key: r.Key, name: s.Owner + "/" + s.Child, ended: true,
		forget: min(e.instant(s.Until, s.Boot, latest), e.clock.Now().Add(spentFor)),
	}, nil
}
