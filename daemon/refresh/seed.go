package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"tokend/daemon/record"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// Seed is a grant as the configuration gives it.
type Seed struct {
	Name  string
	Value secret.Text
}

// Sow puts the grants of the configuration in force where there are none yet, giveBatch of them in
// one write. A grant that was learned since is never overwritten; one that came from the
// configuration follows it.
func (e *Engine) Sow(ctx context.Context, seeds []Seed) error {
	var work *throttle.Work
	if e.isLoaded() { // else nobody is being answered yet
		work = e.cfg.Throttle.Begin(ctx)
		defer work.End()
	}
	for batch := range slices.Chunk(seeds, giveBatch) {
		amends := make([]*amendment, len(batch))
		for i, s := range batch {
			amends[i] = e.sows(s)
		}
		if err := e.amend(ctx, amends...); err != nil {
			first := slices.IndexFunc(amends, func(a *amendment) bool { return a.err != nil })
			return fmt.Errorf("seed %s: %w", batch[first].Name, err)
		}
		work.Pause()
	}
	return nil
}

// sows returns the amendment that puts s in force.
func (e *Engine) sows(s Seed) *amendment {
	sum := sha256.Sum256([]byte("tokend seed\x00" + string(s.Value)))
	digest := hex.EncodeToString(sum[:8])
	kept := false
	a := &amendment{grant: s.Name}
	a.apply = func(g *record.Grant) bool {
		if g.Seed == digest {
			return false
		}
		g.Seed = digest
		if kept = g.Value != "" && g.Source != fromConfig; !kept {
			a.frees = true
			now := time.Now()
			readmit(g, record.Generation{Value: s.Value, At: now, Source: fromConfig}, now)
		}
		return true
	}
	a.then = func() {
		if kept {
			e.log.Warn("the configured grant is not used: a newer one has been learned", "name", s.Name)
			return
		}
		e.watchers.tell(Listing{Name: s.Name, State: Fresh})
	}
	return a
}
