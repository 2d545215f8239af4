package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/permit"
)

// judge returns a judge of the files that a configuration names, for the user that runs the daemon.
// Only root can judge for another user.
func judge(file string) *permit.Judge {
	j := &permit.Judge{User: permit.Current(), Places: true}
	if os.Geteuid() != 0 {
		j.Reads = false // the file may be another user's
		return j
	}
	j.Reads = true
	unit := unitOf(file)
	if unit == nil {
		if u, err := permit.Named("tokend", ""); err == nil && file == config.DefaultFile {
			j.User = u // systemd does not run: this is an image that is being built, or a container
		}
		return j
	}
	if unit["User"] != "" {
		if u, err := permit.Named(unit["User"], unit["Group"], strings.Fields(unit["SupplementaryGroups"])...); err == nil {
			j.User = u
		}
	}
	if unit["ProtectHome"] == "yes" || unit["ProtectHome"] == "tmpfs" {
		j.Hidden = append(j.Hidden, "/home", "/root", "/run/user")
	}
	if unit["PrivateTmp"] == "yes" {
		j.Hidden = append(j.Hidden, "/tmp", "/var/tmp")
	}
	return j
}

// unitOf returns properties of tokend.service if that unit runs the daemon with the configuration
// file, nil otherwise.
func unitOf(file string) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "tokend.service",
		"--property=LoadState,User,Group,SupplementaryGroups,ProtectHome,PrivateTmp,ExecStart").Output()
	if err != nil {
		return nil
	}
	unit := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			unit[key] = value
		}
	}
	path, err := filepath.Abs(file)
	if err != nil || unit["LoadState"] != "loaded" || !slices.Contains(strings.FieldsFunc(unit["ExecStart"], func(c rune) bool { return c == ' ' || c == '=' }), path) {
		return nil
	}
	return unit
}
