package credential

import "time"

// Durations is a histogram of the refreshes of one kind, successful or not.
type Durations struct {
	Kind    string
	N       int64
	Took    time.Duration // total
	Buckets [len(Buckets)]int64
}

// Add counts a refresh that took d.
func (h *Durations) Add(d time.Duration) {
	h.N++
	h.Took += d
	for i, bound := range Buckets {
		if d <= bound {
			h.Buckets[i]++
			return
		}
	}
}
