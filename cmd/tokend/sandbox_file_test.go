package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"tokend/cmd/tokend/sandbox"
)

// TestSandboxFileWhole holds that a program that waits for the sandbox's configuration reads all of
// it.
func TestSandboxFileWhole(t *testing.T) {
	c := sandbox.Configuration{Dir: t.TempDir(), Accounts: sandbox.Accounts(), Owners: sandbox.Owners()}
	file := filepath.Join(c.Dir, "tokend.toml")
	want := c.TOML()
	for range 200 {
		written := make(chan error)
		go func() {
			_, err := writeConfiguration(file, c)
			written <- err
		}()
		text, err := os.ReadFile(file)
		for errors.Is(err, fs.ErrNotExist) {
			text, err = os.ReadFile(file)
		}
		if err := errors.Join(err, <-written, os.Remove(file)); err != nil {
			t.Fatal(err)
		}
		if string(text) != want {
			t.Fatalf("%d bytes of %d", len(text), len(want))
		}
	}
}
