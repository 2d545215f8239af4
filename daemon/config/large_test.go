package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// largeTOML returns a configuration of n accounts, alternately official accounts and mini programs.
// The file secret contains the secret of all of them.
func largeTOML(n int, secret string) []byte {
	var b bytes.Buffer
	for i := range n {
		family := []string{"official_account", "mini_program"}[i%2]
		fmt.Fprintf(&b, "[[%s]]\napp_id = \"wx%016x\"\nsecret = { file = %q }\n\n", family, i, secret)
	}
	return b.Bytes()
}

// writeFile creates a file and returns its path.
func writeFile(tb testing.TB, name string, content []byte) string {
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestLongestFile(t *testing.T) {
	secret := writeFile(t, "secret", []byte("canary\n"))
	fill := func(accounts, size int) []byte {
		b := largeTOML(accounts, secret)
		comment := []byte("# " + strings.Repeat("x", 97) + "\n")
		for len(b)+len(comment) <= size {
			b = append(b, comment...)
		}
		return append(b, bytes.Repeat([]byte{'\n'}, size-len(b))...)
	}
	t.Run("at the limit", func(t *testing.T) {
		const accounts = 10_000
		c, err := Load(writeFile(t, "tokend.toml", fill(accounts, maxFile)), OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(c.OfficialAccounts) + len(c.MiniPrograms); n != accounts {
			t.Errorf("got %d accounts, want %d", n, accounts)
		}
	})
	t.Run("beyond it", func(t *testing.T) {
		path := writeFile(t, "tokend.toml", fill(1, maxFile+1))
		_, err := Load(path, OSEnv())
		want := "configuration: " + path + " has 16777217 bytes, the limit is 16 MiB: remove comments, and customers " +
			"([[open_platform.authorizer]], [[open_work.suite.corp]]) whose grants tokend has stored"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("a device", func(t *testing.T) {
		_, err := Load("/dev/zero", OSEnv())
		if err == nil || !strings.HasPrefix(err.Error(), "configuration: /dev/zero has more than 16777216 bytes, the limit is 16 MiB: ") {
			t.Errorf("got %v", err)
		}
	})
}

// BenchmarkLoad reports the ratio of the times for 30 000 and 10 000 accounts.
func BenchmarkLoad(b *testing.B) {
	var before time.Duration
	for _, n := range []int{10_000, 30_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			secret := writeFile(b, "secret", []byte("canary\n"))
			path := writeFile(b, "tokend.toml", largeTOML(n, secret))
			least := time.Hour
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if _, err := Load(path, OSEnv()); err != nil {
					b.Fatal(err)
				}
				least = min(least, time.Since(began))
			}
			if before > 0 {
				b.ReportMetric(float64(least)/float64(before), "times-10000")
			}
			before = least
		})
	}
}
