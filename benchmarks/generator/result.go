package generator

import "time"

// Result is the result of a run after the warm-up.
type Result struct {
	Replies int64 // including errors
	Refused map[string]int64
	Lost    int64 // requests whose connection ended before the reply
	Unsent  int64 // requests that were due but not sent, because the server did not keep up with the rate

	// Latency is the latency of each reply, including errors.
	Latency Histogram

	Elapsed time.Duration // from the first request to the last reply
	CPU     time.Duration // of this process in that time, user and system; 0 if unknown
}

// Rate returns replies per second, or 0.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Replies) / r.Elapsed.Seconds()
}

// Failed returns the number of requests without a value.
func (r *Result) Failed() int64 {
	n := r.Lost + r.Unsent
	for _, refused := range r.Refused {
		n += refused
	}
	return n
}

// Load returns the used fraction of a core.
func (r *Result) Load() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return r.CPU.Seconds() / r.Elapsed.Seconds()
}

// tally is the count of one loop or goroutine, which alone uses it until it ends.
type tally struct {
	replies int64
	refused map[string]int64
	lost    int64
	unsent  int64
	latency Histogram
	last    time.Duration // when the last reply arrived
}

func (t *tally) refuse(why string) {
	if t.refused == nil {
		t.refused = map[string]int64{}
	}
	t.refused[why]++
}

// answered counts n replies at now to a batch sent at sent.
func (t *tally) answered(n int, sent, now time.Duration) {
	t.replies += int64(n)
	t.latency.Record(now-sent, n)
	t.last = now
}

// addTo adds the counts to a result.
func (t *tally) addTo(r *Result) {
	r.Replies += t.replies
	r.Lost += t.lost
	r.Unsent += t.unsent
	for why, n := range t.refused {
		if r.Refused == nil {
			r.Refused = map[string]int64{}
		}
		r.Refused[why] += n
	}
	r.Latency.Merge(&t.latency)
}
