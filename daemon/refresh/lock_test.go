package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns has many take the turns of several names, in any order and some of them twice: no two
// have the same name at once, and nobody waits for ever.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const names, takers, each = 6, 40, 50
		var turns nameLocks
		var holders [names]atomic.Int32
		var wg sync.WaitGroup
		for taker := range takers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(taker)))
				for range each {
					have := map[int]bool{}
					var want []string
					for range 1 + random.IntN(names) {
						n := random.IntN(names)
						have[n] = true
						want = append(want, fmt.Sprint("name", n))
					}
					end, err := turns.lock(t.Context(), want...)
					if err != nil {
						t.Error(err)
						return
					}
					for n := range have {
						if holders[n].Add(1) != 1 {
							t.Errorf("two have name%d", n)
						}
					}
					time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
					for n := range have {
						holders[n].Add(-1)
					}
					end()
				}
			})
		}
		wg.Wait()
		if len(turns.held) != 0 {
			t.Errorf("left: %v", turns.held)
		}
	})
}

// TestATurnThatIsGivenUp holds that who stops waiting has taken nothing.
func TestATurnThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns nameLocks
		end, err := turns.lock(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.lock(ctx, "c", "b", "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		free, err := turns.lock(t.Context(), "a", "c", "a")
		if err != nil {
			t.Fatal(err)
		}
		free()
		end()
		if len(turns.held) != 0 {
			t.Errorf("left: %v", turns.held)
		}
	})
}
