package clientlib

import (
	"strings"
	"testing"
)

// BenchmarkGet is one request over a real socket, by a connection from the pool and by
// one of its own; the daemon's part is a goroutine that knows one answer.
func BenchmarkGet(b *testing.B) {
	for _, bb := range []struct {
		name    string
		maxIdle int
	}{{"pooled", 0}, {"connect", -1}} {
		b.Run(bb.name, func(b *testing.B) {
			d := &fakeDaemon{serve: always("OK 7200 " + strings.Repeat("v", 512) + "\n")}
			c := &Client{Socket: d.listen(b), MaxIdleConns: bb.maxIdle}
			b.Cleanup(func() { c.Close() })
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(b.Context(), tokenName); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
