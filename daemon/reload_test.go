package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/footprint"
)

// BenchmarkReload reads and applies a large configuration without changes. It reports the ratio of
// the times for 30 000 and 10 000 accounts.
func BenchmarkReload(b *testing.B) {
	var before time.Duration
	for _, n := range []int{10_000, 30_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir, err := os.MkdirTemp("", "tokend")
			if err != nil {
				b.Fatal(err)
			}
			defer os.RemoveAll(dir)
			path := filepath.Join(dir, "tokend.toml")
			var text strings.Builder
			fmt.Fprintf(&text, "socket = %q\nstate_dir = %q\n", filepath.Join(dir, "s"), filepath.Join(dir, "state"))
			for i := range n {
				fmt.Fprintf(&text, "[[official_account]]\napp_id = \"wx%016x\"\nsecret = \"%032x\"\n\n", i, i)
			}
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			load := func() *config.Config {
				file, err := config.Load(path, config.OSEnv())
				if err != nil {
					b.Fatal(err)
				}
				return file
			}
			ready := make(chan struct{})
			d, err := New(Config{File: load(), Ready: func() { close(ready) }})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- d.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					b.Error(err)
				}
			}()
			<-ready
			<-d.engine.Loaded()
			time.Sleep(100 * time.Millisecond) // footprint's first decision
			least := time.Hour
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				end := footprint.Load()
				if err := d.Reload(ctx, load()); err != nil {
					b.Fatal(err)
				}
				end()
				least = min(least, time.Since(began))
			}
			if before > 0 {
				b.ReportMetric(float64(least)/float64(before), "times-10000")
			}
			before = least
		})
	}
}
