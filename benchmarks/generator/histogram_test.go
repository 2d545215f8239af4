package generator

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestBuckets holds that buckets are adjacent and as narrow as documented.
func TestBuckets(t *testing.T) {
	var h Histogram
	next := time.Duration(0) // the shortest latency of the bucket
	for b := range h.buckets {
		if next < 0 { // beyond the longest latency
			break
		}
		last := highest(b)
		if got := bucket(next); got != b {
			t.Fatalf("bucket(%d): got %d, want %d", next, got, b)
		}
		if got := bucket(last); got != b {
			t.Fatalf("bucket(%d): got %d, want %d", last, got, b)
		}
		if width := last - next; float64(width) > 0.008*float64(next) {
			t.Fatalf("bucket %d: from %d to %d", b, next, last)
		}
		next = last + 1
	}
	if bucket(math.MaxInt64) >= len(h.buckets) {
		t.Error("the longest latency has no bucket")
	}
}

// TestQuantile compares quantiles with a sorted list.
func TestQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var a, b Histogram
	var all []time.Duration
	for i := range 100_000 {
		d := time.Duration(math.Exp(random.Float64() * 20)) // 1 ns to half a second
		all = append(all, d)
		if i%3 == 0 {
			a.Record(d, 1)
		} else {
			b.Record(d, 1)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	if a.Count() != 100_000 || a.Max() != all[len(all)-1] || a.Mean() != sum/100_000 {
		t.Errorf("got %d, max %v, mean %v", a.Count(), a.Max(), a.Mean())
	}
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.99999, 1} {
		want := all[max(1, int(math.Ceil(q*float64(len(all)))))-1]
		got := a.Quantile(q)
		if got < want || float64(got-want) > 0.008*float64(want) {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
}

func TestEmptyHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 || h.Mean() != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("not empty")
	}
	h.Record(-5, 2)
	if h.Count() != 2 || h.Max() != 0 || h.Quantile(1) != 0 {
		t.Errorf("a negative latency: %d, max %v", h.Count(), h.Max())
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	d := time.Duration(100_000)
	for b.Loop() {
		h.Record(d, 1)
		d = (d*31 + 17) & 0xfffff
	}
}
