//go:build linux

package rig

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Calm tells how quiet the machine was. Whoever shares its processors unseen, as on a host of
// virtual machines, slows down what is measured, and not all of it alike: between one measurement
// and the next the same work is done again and again, which takes as long as the quickest time
// where nobody else is there. Its zero value is ready.
type Calm struct {
	took []float64 // in nanoseconds
}

// workItems are sorted in about a millisecond: much of it is branches that nobody foresees and
// little of it memory, as in a server.
const workItems = 1 << 14

// Look does the work once.
func (c *Calm) Look() {
	work := make([]int, workItems)
	random := rand.New(rand.NewPCG(1, 2)) // the same numbers each time
	for i := range work {
		work[i] = random.Int()
	}
	began := time.Now()
	slices.Sort(work)
	c.took = append(c.took, float64(time.Since(began)))
}

// String returns "" where there has been no look.
func (c *Calm) String() string {
	if len(c.took) == 0 {
		return ""
	}
	quickest, worst := slices.Min(c.took), slices.Max(c.took)
	return fmt.Sprintf("calm      the same work took %.2f times its quickest, the worst of %d times %.2f; 1.00 is a machine that nobody else uses",
		Median(slices.Clone(c.took))/quickest, len(c.took), worst/quickest)
}
