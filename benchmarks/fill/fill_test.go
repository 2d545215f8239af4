package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/record"
	"tokend/daemon/store"
)

// TestFill holds that the store has the requested content and that the configuration is valid.
func TestFill(t *testing.T) {
	for _, key := range []string{"", "key"} {
		dir := t.TempDir()
		args := []string{"-state", dir + "/state", "-config", dir + "/tokend.toml", "-n", "450", "-used", "300", "-size", "64",
			"-due", "1h", "-over", "30m", "-names"}
		c := store.Config{Dir: dir + "/state"}
		if key != "" {
			args = append(args, "-key", filepath.Join(dir, key))
		}
		var out strings.Builder
		began := time.Now()
		if err := run(t.Context(), args, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		file, err := config.Load(dir+"/tokend.toml", config.OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if file.EncryptionKey != "" {
			c.Key = []byte(file.EncryptionKey)
		}
		s, err := store.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(out.String())
		grants, tokens := 0, 0
		for r, err := range s.All(record.Grants) {
			if g, derr := record.DecodeGrant(r); err != nil || derr != nil || !g.Live() {
				t.Errorf("%s: %v %v", r.Key, err, derr)
			}
			grants++
		}
		for r, err := range s.All(record.Credentials) {
			c, derr := record.DecodeCredential(r)
			if err != nil || derr != nil {
				t.Fatalf("%s: %v %v", r.Key, err, derr)
			}
			if strings.HasSuffix(c.Name, "_ticket") {
				continue
			}
			tokens++
			if left := c.End.Wall.Sub(began); left < time.Hour || left > 90*time.Minute+time.Since(began) || len(c.Value) != 64 {
				t.Errorf("%s: %d bytes, %s left", c.Name, len(c.Value), left)
			}
			if !slices.Contains(names, c.Name) {
				t.Errorf("the name %s was not printed", c.Name)
			}
		}
		if grants != 450 || tokens != 300 || len(names) != 300 {
			t.Errorf("%d grants, %d tokens, %d names", grants, tokens, len(names))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Error("an existing state directory was filled")
		}
	}
}
