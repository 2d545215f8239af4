package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse checks that no file makes Parse panic, and that the values are those that the library's
// decoder returns. Problems must be sorted by line and have one line of text each. Secrets from
// other sources must not be shown.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(golden, "*", "*.toml"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range unusual {
		f.Add([]byte(text))
	}
	for _, m := range mistakes {
		f.Add([]byte(m.file))
	}
	env := newTestEnv(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAsDecoder(t, data)
		c, err := Parse("f", data, env)
		if err == nil {
			if c.Socket == "" || c.StateDir == "" || c.Upstream.Timeout <= 0 {
				t.Errorf("incomplete: %+v", c)
			}
			return
		}
		ps, ok := errors.AsType[Problems](err)
		if !ok || len(ps) == 0 {
			t.Fatalf("got %v, want Problems", err)
		}
		last := 0
		for _, p := range ps {
			if p.Line < last || p.Line > bytes.Count(data, []byte("\n"))+1 {
				t.Errorf("line %d of %d: %s", p.Line, bytes.Count(data, []byte("\n"))+1, p)
			}
			last = p.Line
			if strings.ContainsAny(p.String(), "\n\x00\x1b") {
				t.Errorf("more than one plain line: %q", p)
			}
			if strings.Contains(p.Message, "canary") && !bytes.Contains(data, []byte("canary")) {
				t.Errorf("a secret from elsewhere is shown: %s", p)
			}
		}
	})
}
