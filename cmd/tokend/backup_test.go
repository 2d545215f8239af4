package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tokend/daemon/record"
	"tokend/daemon/store"
)

// TestWriteNew holds that the old file stays until the new one is complete, and that no other file
// remains.
func TestWriteNew(t *testing.T) {
	broken := errors.New("broken off")
	for _, tt := range []struct {
		about  string
		before string // "" for none
		force  bool
		fails  error
		want   error
		after  string
	}{
		{"new", "", false, nil, nil, "new"},
		{"broken off", "", false, broken, broken, ""},
		{"an existing file", "old", false, nil, errExists, "old"},
		{"replaced", "old", true, nil, nil, "new"},
		{"a failed replacement", "old", true, broken, broken, "old"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if tt.before != "" {
			if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := writeNew(path, tt.force, func(w io.Writer) error {
			_, err := io.WriteString(w, "new")
			return errors.Join(err, tt.fails)
		})
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: error is %v, want %v", tt.about, err, tt.want)
		}
		if got, _ := os.ReadFile(path); string(got) != tt.after {
			t.Errorf("%s: got %q, want %q", tt.about, got, tt.after)
		}
		if info, err := os.Stat(path); tt.after == "new" && (err != nil || info.Mode().Perm() != 0o600) {
			t.Errorf("%s: got mode %v, want 0600", tt.about, info.Mode())
		}
		if all, _ := os.ReadDir(dir); len(all) > 1 || len(all) == 1 && tt.after == "" {
			t.Errorf("%s: left behind: %v", tt.about, all)
		}
	}
	// A file that another process creates while fill runs.
	path := filepath.Join(t.TempDir(), "file")
	err := writeNew(path, false, func(io.Writer) error { return os.WriteFile(path, []byte("theirs"), 0o600) })
	if got, _ := os.ReadFile(path); !errors.Is(err, errExists) || string(got) != "theirs" {
		t.Errorf("created during the write: got %q, %v", got, err)
	}
	if err := writeNew(os.DevNull, true, func(io.Writer) error { return nil }); err == nil {
		t.Error("a device was replaced")
	}
}

func TestBackupTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	for _, tt := range []struct {
		command string
		want    string
	}{
		{"backup", "tokend: backup: standard output is a terminal: name a FILE, or redirect the output\n"},
		{"restore", "tokend: restore: standard input is a terminal: name a FILE, or redirect the input\n"},
	} {
		var stderr bytes.Buffer
		status := run(context.Background(), []string{tt.command}, func(string) string { return "" }, terminal, terminal, &stderr)
		if status != exitUsage || !strings.HasPrefix(stderr.String(), tt.want) {
			t.Errorf("%s: status %d, want %d\n got %q\nwant %q", tt.command, status, exitUsage, &stderr, tt.want)
		}
	}
}

// TestRestoreClear holds that a backup in clear is restored with an encryption_key only by command,
// and sealed.
func TestRestoreClear(t *testing.T) {
	dir := t.TempDir()
	state, conf, backup := filepath.Join(dir, "state"), filepath.Join(dir, "tokend.toml"), filepath.Join(dir, "backup")
	const canary = "canary-grant"
	st, err := store.Open(store.Config{Dir: filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = errors.Join(st.Put(t.Context(), record.Record{Table: record.Grants, Key: "a", Value: []byte(canary)}), st.Backup(&b), st.Close(),
		os.WriteFile(backup, b.Bytes(), 0o600),
		os.WriteFile(conf, fmt.Appendf(nil, "state_dir = %q\nencryption_key = %q\n", state, strings.Repeat("k", 32)), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	restore := func(args ...string) (int, string) {
		cmd := exec.CommandContext(t.Context(), "tokend", append([]string{"restore", "--config", conf}, args...)...)
		out, _ := cmd.CombinedOutput() // the status is checked
		return cmd.ProcessState.ExitCode(), string(out)
	}
	const refused = " is in clear although an encryption_key is configured\nhint: anybody could have made this backup; if it is yours: tokend restore --accept-clear\n"
	if status, out := restore(backup); status != exitFailed || !strings.HasSuffix(out, refused) {
		t.Errorf("status %d\n got %q\nwant %q", status, out, refused)
	}
	if left, _ := os.ReadDir(state); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if status, out := restore(backup, "--accept-clear"); status != exitDone {
		t.Fatalf("status %d: %s", status, out)
	}
	grants, err := os.ReadFile(filepath.Join(state, "grants.journal"))
	if err != nil || bytes.Contains(grants, []byte(canary)) {
		t.Errorf("the grant is in clear, or missing: %v", err)
	}
}

// TestOfflineByAnotherUser holds that root leaves no files of its own in the daemon's directory.
func TestOfflineByAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	state, conf, key := filepath.Join(dir, "state"), filepath.Join(dir, "tokend.toml"), filepath.Join(dir, "key")
	err := errors.Join(os.Mkdir(state, 0o700), os.Chown(state, 1201, 1201),
		os.WriteFile(conf, fmt.Appendf(nil, "state_dir = %q\n", state), 0o600),
		os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"restore", "--config", conf, key}, {"rekey", "--config", conf, "--new-key-file", key}} {
		out, err := exec.CommandContext(t.Context(), "tokend", args...).CombinedOutput()
		ended, _ := errors.AsType[*exec.ExitError](err)
		const want = " belongs to '#1201': only that user may change it\nhint: run as that user: sudo -u '#1201' tokend ...\n"
		if ended == nil || ended.ExitCode() != exitFailed || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s: %v\n got %q\nwant %q", args[0], err, out, want)
		}
	}
	if left, _ := os.ReadDir(state); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
