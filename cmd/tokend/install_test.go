package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInstall holds that `make install` installs exactly the files that the READMEs and the man
// page name. The unit starts the installed program, and `make uninstall` leaves other files alone.
func TestInstall(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	stage := t.TempDir()
	binary := filepath.Join(t.TempDir(), "tokend")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(target string) {
		t.Helper()
		make := exec.Command("make", "-s", target, "DESTDIR="+stage, "PREFIX=/opt/t", "BINARY="+binary)
		make.Dir = repository
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
	run("install")
	want := []string{
		"bin/tokend rwxr-xr-x",
		"lib/systemd/system/tokend.service rw-r--r--",
		"lib/systemd/system/tokend.socket rw-r--r--",
		"lib/sysusers.d/tokend.conf rw-r--r--",
		"lib/tmpfiles.d/tokend.conf rw-r--r--",
		"share/bash-completion/completions/tokend rw-r--r--",
		"share/doc/tokend/prometheus.yml rw-r--r--",
		"share/doc/tokend/tokend.rules.yml rw-r--r--",
		"share/doc/tokend/tokend.toml rw-r--r--",
		"share/doc/tokend/tokend.zh-CN.toml rw-r--r--",
		"share/fish/vendor_completions.d/tokend.fish rw-r--r--",
		"share/man/man8/tokend.8 rw-r--r--",
		"share/zsh/site-functions/_tokend rw-r--r--",
	}
	for _, page := range append(pages(t), "README.md", "README.zh-CN.md", "CHANGELOG.md", "SECURITY.md") {
		want = append(want, "share/doc/tokend/"+page+" rw-r--r--")
	}
	for _, client := range []string{"php", "csharp"} { // all files in the repository but the tests
		err := fs.WalkDir(os.DirFS(filepath.Join(repository, "clientlib")), client, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Name() == "tests":
				return fs.SkipDir
			case !d.IsDir() && d.Name() != "phpunit.xml":
				want = append(want, "share/tokend/"+name+" rw-r--r--")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"docs/*.svg", "docs/tokend-dashboard.json"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			name = filepath.Base(name)
			if strings.HasSuffix(name, ".svg") {
				name = "docs/" + name
			}
			want = append(want, "share/doc/tokend/"+name+" rw-r--r--")
		}
	}
	slices.Sort(want)
	if got := installed(t, stage); !slices.Equal(got, want) {
		t.Errorf("make install:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	unit, err := os.ReadFile(filepath.Join(stage, "opt/t/lib/systemd/system/tokend.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/opt/t/bin/tokend serve") {
		t.Errorf("the unit starts another program, %v:\n%s", err, unit)
	}

	run("install") // over the installed files
	notes := filepath.Join(stage, "opt/t/share/doc/tokend/notes")
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run("uninstall")
	if got, want := installed(t, stage), []string{"share/doc/tokend/notes rw-------"}; !slices.Equal(got, want) {
		t.Errorf("make uninstall leaves %q, want %q", got, want)
	}
	if err := os.Remove(notes); err != nil {
		t.Fatal(err)
	}
	run("uninstall") // without installed files
	for _, dir := range []string{filepath.Dir(notes), filepath.Join(stage, "opt/t/share/tokend")} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("make uninstall leaves the empty directory %s", dir)
		}
	}
}

// TestInstallAtomic holds that a program that is being replaced can be started at any time.
func TestInstallAtomic(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	stage := t.TempDir()
	binary := filepath.Join(t.TempDir(), "tokend")
	// As large as tokend, so that writing the program takes as long.
	if err := os.WriteFile(binary, slices.Concat([]byte("#!/bin/sh\nexit 0\n"), make([]byte, 20<<20)), 0o700); err != nil {
		t.Fatal(err)
	}
	install := func() error {
		make := exec.Command("make", "-s", "install", "DESTDIR="+stage, "PREFIX=/opt/t", "BINARY="+binary)
		make.Dir = repository
		return make.Run()
	}
	if err := install(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		for range 3 {
			if err := install(); err != nil {
				done <- err
				return
			}
		}
	}()
	started, failed := 0, 0
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if started == 0 || failed > 0 {
				t.Errorf("%d of %d starts failed during an installation", failed, started)
			}
			return
		default:
			started++
			if err := exec.Command(filepath.Join(stage, "opt/t/bin/tokend")).Run(); err != nil {
				failed++
			}
		}
	}
}

// TestPackageUser holds that the rpm package creates the user of the unit before its files exist.
func TestPackageUser(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(readText(t, "systemd/tokend.sysusers")), "\n")
	if line := lines[len(lines)-1]; !strings.Contains(readText(t, "systemd/packaging/rpm/pre"), "\n"+line+"\n") {
		t.Errorf("systemd/packaging/rpm/pre lacks %q", line)
	}
}

// installed returns the files below the prefix in stage, with their modes.
func installed(t *testing.T, stage string) (all []string) {
	t.Helper()
	prefix := filepath.Join(stage, "opt/t")
	err := filepath.WalkDir(stage, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(prefix, path)
		all = append(all, name+" "+info.Mode().String()[1:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
