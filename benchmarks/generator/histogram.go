package generator

import (
	"math"
	"math/bits"
	"time"
)

// fine is how many bits of a latency are told apart: below 128 ns each nanosecond, above it
// steps of less than 0.8 %.
const fine = 7

// Histogram counts latencies of up to 292 years in buckets, so that recording one is an addition
// and the whole takes 58 KB however many there are. The zero value is empty. It is not safe for
// concurrent use: each loop has its own, and they are merged.
type Histogram struct {
	count   uint64
	sum     time.Duration
	max     time.Duration
	buckets [(64 - fine + 1) << fine]uint64
}

// bucket returns the bucket of a latency, which is not negative.
func bucket(d time.Duration) int {
	v := uint64(d)
	shift := max(0, bits.Len64(v)-fine-1)
	return shift<<fine + int(v>>shift)
}

// highest returns the longest latency that falls into a bucket.
func highest(b int) time.Duration {
	shift := max(0, b>>fine-1)
	v := uint64(b-shift<<fine+1)<<shift - 1
	return time.Duration(min(v, math.MaxInt64))
}

// Record counts n requests that took d each. A negative d, which a clock that two threads
// read can show, counts as 0.
func (h *Histogram) Record(d time.Duration, n int) {
	d = max(d, 0)
	h.count += uint64(n)
	h.sum += d * time.Duration(n)
	h.max = max(h.max, d)
	h.buckets[bucket(d)] += uint64(n)
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// Count returns how many were recorded.
func (h *Histogram) Count() int64 { return int64(h.count) }

// Max returns the longest latency, to the nanosecond; 0 for none.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, to the nanosecond; 0 for none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Quantile returns the latency that the part q (0 to 1) of all did not exceed, too high by less
// than 0.8 %; 0 for none.
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
