package clientlib

import (
	"strings"
	"testing"
)

// BenchmarkGet makes one request over a real socket, on a pooled connection and on a new one. The
// daemon is a goroutine with one fixed reply.
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
