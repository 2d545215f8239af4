package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// key configures an encryption key; see TestScripts.
func (w *world) key(ts *testscript.TestScript, args []string) {
	var line string
	if args[0] != "-" {
		file := ts.MkAbs(args[0])
		ts.Check(os.Chmod(file, 0o600))
		line = fmt.Sprintf("encryption_key = { file = %q }\n", file)
	}
	ts.Check(os.WriteFile(filepath.Join(w.dir, "tokend.toml"), []byte(line+w.conf.TOML()), 0o600))
}

// mode fails unless a file has that mode, in octal.
func (w *world) mode(ts *testscript.TestScript, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode of %s: got %s, want %s", args[1], got, args[0])
	}
}

// lacks fails if a file contains the one line of another.
func (w *world) lacks(ts *testscript.TestScript, args []string) {
	secret := strings.TrimSpace(ts.ReadFile(args[1]))
	if secret == "" || strings.Contains(ts.ReadFile(args[0]), secret) {
		ts.Fatalf("%s contains %s in clear", args[0], args[1])
	}
}
