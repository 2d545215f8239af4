package generator

import "time"

// Result is what a run has shown. What was counted came after the warm-up.
type Result struct {
	Replies int64 // refusals included
	Refused map[string]int64
	Lost    int64 // requests whose connection ended before the reply
	Unsent  int64 // requests that were due, and were given up when the server had not kept up with the rate

	// Latency of each reply, refusals included.
	Latency Histogram

	Elapsed time.Duration // from the first request to the last reply
	CPU     time.Duration // that this process used meanwhile, user and system; 0 where that cannot be told
}

// Rate returns replies per second, 0 for none.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Replies) / r.Elapsed.Seconds()
}

// Failed returns how many requests got no answer or a refusal.
func (r *Result) Failed() int64 {
	n := r.Lost + r.Unsent
	for _, refused := range r.Refused {
		n += refused
	}
	return n
}

// Load returns how much of a core this process used.
func (r *Result) Load() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return r.CPU.Seconds() / r.Elapsed.Seconds()
}

// tally is what one loop or goroutine counts. It is its own until it ends.
type tally struct {
	replies int64
	refused map[string]int64
	lost    int64
	unsent  int64
	latency Histogram
	last    time.Duration // when the last reply came
}

func (t *tally) refuse(why string) {
	if t.refused == nil {
		t.refused = map[string]int64{}
	}
	t.refused[why]++
}

// answered counts n replies that came at now to what was sent at sent.
func (t *tally) answered(n int, sent, now time.Duration) {
	t.replies += int64(n)
	t.latency.Record(now-sent, n)
	t.last = now
}

// addTo adds what was counted to a result.
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
