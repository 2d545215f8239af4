package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// Seed is a grant as the configuration gives it.
type Seed struct {
	Name  string
	Value secret.Text
}

// Sow puts the grants of the configuration in force where there are none yet. A grant
// that was learned since is never overwritten; one that came from the
// configuration follows it.
func (e *Engine) Sow(ctx context.Context, seeds []Seed) error {
	for _, s := range seeds {
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
		if err := e.amend(ctx, a); err != nil {
			return fmt.Errorf("seed %s: %w", s.Name, err)
		}
	}
	return nil
}
