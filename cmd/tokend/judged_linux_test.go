package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCheckJudgesForUnit checks that root's check judges the files for the user of the unit, and
// that the commands that it prints fix what it finds.
func TestCheckJudgesForUnit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root checks for another user")
	}
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, secret, state := filepath.Join(dir, "tokend.toml"), filepath.Join(dir, "wx.secret"), filepath.Join(dir, "state")
	text := "socket = \"" + dir + "/s\"\nstate_dir = \"" + state + "\"\n[[official_account]]\napp_id = \"wx1\"\nsecret = { file = \"" + secret + "\" }\n" +
		"[[official_account]]\napp_id = \"wx2\"\nsecret = { credential = \"wx2\" }\n" +
		"[[official_account]]\napp_id = \"wx3\"\nsecret = { credential = \"wx3\" }\n" +
		"[pages]\nlisten = \"unix:" + dir + "/pages\"\n"
	unit := "#!/bin/sh\n[ $1 = cat ] && printf '[Service]\\nLoadCredential=wx2:/none\\nLoadCredential=\\nLoadCredential=wx2:" + dir + "/wx2\\nLoadCredentialEncrypted=wx3:" + dir + "/wx3\\n' && exit\n" +
		"printf 'LoadState=loaded\\nUser=nobody\\nExecStart={ path=/usr/bin/tokend ; argv[]=/usr/bin/tokend serve --config " + file + " ; }\\n'\n"
	bin := filepath.Join(dir, "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "systemctl"), []byte(unit), 0o755),
		os.WriteFile(filepath.Join(bin, "systemd-creds"), []byte("#!/bin/sh\n[ \"$*\" = \"decrypt --name=wx3 "+dir+"/wx3 -\" ] && echo canary\n"), 0o755),
		os.WriteFile(filepath.Join(dir, "wx3"), []byte("not a secret: encrypted"), 0o600), os.WriteFile(file, []byte(text), 0o600),
		os.WriteFile(filepath.Join(dir, "wx2"), []byte("canary"), 0o600), os.WriteFile(secret, []byte("canary\n"), 0o644), os.Chmod(secret, 0o666), os.Mkdir(state, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	check := func(code int, wants ...string) {
		t.Helper()
		var stdout, stderr strings.Builder
		got := run(t.Context(), []string{"check", "--config", file}, os.Getenv, strings.NewReader(""), &stdout, &stderr)
		if got != code {
			t.Errorf("exit status %d, want %d", got, code)
		}
		said := strings.ReplaceAll(strings.TrimSuffix(stderr.String(), "hint: fix them, then: tokend check --config "+file+"\n"), dir, "DIR")
		var want strings.Builder
		for _, line := range wants {
			want.WriteString("tokend: " + line + "\n")
		}
		if said != want.String() {
			t.Errorf("\n got %s\nwant %s", said, want.String())
		}
	}
	run := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	nobody := asDaemon(file, unitOf(file)).Judge.User
	if nobody.Name != "nobody" {
		t.Fatalf("judged for %+v", nobody)
	}
	check(2, "DIR/tokend.toml: every user can write to the directory DIR: chmod o-w DIR",
		"DIR/tokend.toml:1: socket: every user can write to the directory DIR: chmod o-w DIR",
		"DIR/tokend.toml:2: state_dir: DIR/state belongs to user root, not to nobody: chown -R nobody:"+nobody.Group+" DIR/state",
		"DIR/tokend.toml:5: [[official_account]] secret: every user can write DIR/wx.secret (mode 0666): chmod go-w DIR/wx.secret",
		"DIR/tokend.toml:8: [[official_account]] secret: every user can write to the directory DIR: chmod o-w DIR",
		"DIR/tokend.toml:11: [[official_account]] secret: every user can write to the directory DIR: chmod o-w DIR",
		"DIR/tokend.toml:13: [pages] listen: every user can write to the directory DIR: chmod o-w DIR")
	run(errors.Join(os.Chmod(dir, 0o755), os.Chmod(secret, 0o644), os.Chown(state, int(nobody.UID), int(nobody.GIDs[0]))))
	check(2, "DIR/tokend.toml: user nobody cannot read DIR/tokend.toml (mode 0600, root:root): chgrp "+nobody.Group+" DIR/tokend.toml && chmod 640 DIR/tokend.toml")
	run(errors.Join(os.Chown(file, 0, int(nobody.GIDs[0])), os.Chmod(file, 0o640)))
	check(0, "warning: DIR/tokend.toml:5: [[official_account]] secret: every user of this host can read DIR/wx.secret: chgrp "+nobody.Group+" DIR/wx.secret && chmod 640 DIR/wx.secret")
	run(errors.Join(os.Chown(secret, 0, int(nobody.GIDs[0])), os.Chmod(secret, 0o640)))
	check(0)

	// Another user learns what only root can check, and is not told to take the files away from the
	// daemon.
	run(os.Chmod(file, 0o644))
	err = asUser(1, func() error {
		_, err := loadConfigFor(file, asDaemon(file, unitOf(file)))
		return err
	})
	var want strings.Builder
	for _, at := range []string{"5: [[official_account]] secret: open DIR/wx.secret", "8: [[official_account]] secret: open DIR/wx2", "11: [[official_account]] secret: open DIR/wx3"} {
		want.WriteString("DIR/tokend.toml:" + at + ": permission denied: not for this user: use sudo\n")
	}
	if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR")+"\n" != want.String() {
		t.Errorf("\n got %v\nwant %s", err, want.String())
	}
}

// asUser calls f in a thread of another user.
func asUser(uid int, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			result <- errno
			return
		}
		result <- f()
	}()
	return <-result
}
