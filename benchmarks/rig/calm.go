//go:build linux

package rig

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Calm measures how quiet the machine was. Invisible users of the same processors, such as other
// virtual machines, slow measurements down, and not all of them equally. Between measurements Calm
// repeats the same work: on a quiet machine each repetition takes as long as the fastest. The zero
// value is ready for use.
type Calm struct {
	took []float64 // in nanoseconds
}

// workItems are sorted in about a millisecond, with many unpredictable branches and little memory,
// as in a server.
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

// String describes the measurements, or returns "" if there are none.
func (c *Calm) String() string {
	if len(c.took) == 0 {
		return ""
	}
	quickest, worst := slices.Min(c.took), slices.Max(c.took)
	return fmt.Sprintf("calm      the same work took %.2f times its quickest, the worst of %d times %.2f; 1.00 is a machine without other users",
		Median(slices.Clone(c.took))/quickest, len(c.took), worst/quickest)
}
