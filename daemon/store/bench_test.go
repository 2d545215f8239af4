package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"tokend/daemon/record"
)

// BenchmarkPut measures a durable Put alone and with concurrent writers, and a Copy. An operation
// is one of one record of 600 bytes.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 4, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) { benchmarkPut(b, writers, (*Store).Put) })
	}
	b.Run("copy", func(b *testing.B) { benchmarkPut(b, 1, (*Store).Copy) })
}

func benchmarkPut(b *testing.B, writers int, put func(*Store, context.Context, ...record.Record) error) {
	value := []byte(strings.Repeat("v", 600))
	s := newTestStore(b, Config{Key: key1})
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				r := record.Record{Table: record.Credentials, Key: fmt.Sprintf("official_account/wx%05d/access_token", i%10000), Value: value}
				if err := put(s, b.Context(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkOpen measures a start with a hundred thousand records of 600 bytes: Open, reading them
// all, and the resident memory afterwards.
func BenchmarkOpen(b *testing.B) {
	for _, key := range [][]byte{nil, key1} {
		c := Config{Dir: newStateDir(b), Key: key}
		fill(b, c, 100_000)
		b.Run(fmt.Sprintf("sealed=%t", key != nil), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := Open(c)
				if err != nil {
					b.Fatal(err)
				}
				var n int
				for r, err := range s.All(record.Credentials) {
					if err != nil || len(r.Value) != 600 {
						b.Fatal(r.Key, err)
					}
					n++
				}
				if n != 100_000 {
					b.Fatalf("got %d records", n)
				}
				b.StopTimer()
				reportMemory(b)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRewrite measures the disk usage after twenty rewrites of all records, with the store
// open and closed.
func BenchmarkRewrite(b *testing.B) {
	const n, rewrites, live = 100_000, 20, 100_000 * 640
	for b.Loop() {
		s, err := Open(Config{Dir: newStateDir(b)})
		if err != nil {
			b.Fatal(err)
		}
		for range rewrites {
			putMany(b, s, n)
		}
		b.ReportMetric(float64(onDisk(b, stateDir(s.dir).current()))/live, "open/live")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(onDisk(b, stateDir(s.dir).current()))/live, "closed/live")
	}
}

// fill stores n records in the store of c.
func fill(b *testing.B, c Config, n int) {
	b.Helper()
	s, err := Open(c)
	if err != nil {
		b.Fatal(err)
	}
	putMany(b, s, n)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// putMany stores n records of 600 bytes, a hundred at a time.
func putMany(b *testing.B, s *Store, n int) {
	b.Helper()
	value := []byte(strings.Repeat("v", 600))
	recs := make([]record.Record, 100)
	for i := 0; i < n; i += len(recs) {
		for j := range recs {
			recs[j] = record.Record{Table: record.Credentials, Key: fmt.Sprintf("official_account/wx%06d/access_token", i+j), Value: value}
		}
		if err := s.Put(b.Context(), recs...); err != nil {
			b.Fatal(err)
		}
	}
}

// reportMemory reports the resident memory: all of it, and the private part without the page cache.
func reportMemory(b *testing.B) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kB); err == nil {
			b.ReportMetric(kB/1024, "RSS-MiB")
		}
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kB); err == nil {
			b.ReportMetric(kB/1024, "private-MiB")
		}
	}
}

// onDisk returns the allocated bytes in dir. Badger's logs are sparse.
func onDisk(b *testing.B, dir string) (n int64) {
	b.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		var st unix.Stat_t
		// Badger deletes files concurrently.
		if unix.Stat(filepath.Join(dir, e.Name()), &st) == nil {
			n += st.Blocks * 512
		}
	}
	return n
}
