package generator

import (
	"math"
	"math/bits"
	"time"
)

// fine is the number of significant bits of a latency: below 128 ns each nanosecond has a bucket,
// above that buckets are narrower than 0.8 %.
const fine = 7

// Histogram counts latencies of up to 292 years in buckets. Recording one is an addition, and the
// size is 58 KB regardless of their number. The zero value is empty. A Histogram is not safe for
// concurrent use: each loop has its own, and they are merged.
type Histogram struct {
	count   uint64
	sum     time.Duration
	max     time.Duration
	buckets [(64 - fine + 1) << fine]uint64
}

// bucket returns the bucket of a latency, which must not be negative.
func bucket(d time.Duration) int {
	v := uint64(d)
	shift := max(0, bits.Len64(v)-fine-1)
	return shift<<fine + int(v>>shift)
}

// highest returns the longest latency in a bucket.
func highest(b int) time.Duration {
	shift := max(0, b>>fine-1)
	v := uint64(b-shift<<fine+1)<<shift - 1
	return time.Duration(min(v, math.MaxInt64))
}

// Record counts n requests that took d each. A negative d, which clocks of two threads can cause,
// counts as 0.
func (h *Histogram) Record(d time.Duration, n int) {
	d = max(d, 0)
	h.count += uint64(n)
	h.sum += d * time.Duration(n)
	h.max = max(h.max, d)
	h.buckets[bucket(d)] += uint64(n)
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// Count returns the number of recorded latencies.
func (h *Histogram) Count() int64 { return int64(h.count) }

// Max returns the longest latency, exact to the nanosecond, or 0.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, exact to the nanosecond, or 0.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Quantile returns the latency that the fraction q (0 to 1) did not exceed, too high by less than
// 0.8 %, or 0.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(1, uint64(math.Ceil(q*float64(h.count))))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return min(highest(i), h.max)
		}
	}
	return h.max
}
