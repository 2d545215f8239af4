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

// asDaemon returns the environment of the daemon that runs with a configuration, with a judge of
// its files for the daemon's user. Only root can judge for another user.
func asDaemon(file string) config.Env {
	env := config.OSEnv()
	if os.Geteuid() != 0 {
		env.Judge.Places = true // not Reads: the files may be another user's
		return env
	}
	unit := unitOf(file)
	env.Judge = judge(file, unit)
	if unit != nil {
		env.CredentialFiles = credentialFiles()
	}
	return env
}

// credentialFiles returns the files of tokend.service's LoadCredential= lines, by name. systemctl
// show does not print them.
func credentialFiles() map[string]string {
	files := make(map[string]string)
	for line := range strings.Lines(systemctl("cat", "tokend.service")) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "LoadCredential=")
		if name, path, both := strings.Cut(value, ":"); ok && both && filepath.IsAbs(path) {
			files[name] = path
		} else if ok && value == "" {
			clear(files) // an empty value removes the lines before
		}
	}
	return files
}

// systemctl returns what systemctl prints, "" if it fails.
func systemctl(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// judge returns root's judge for the user of a unit, nil for none.
func judge(file string, unit map[string]string) *permit.Judge {
	j := &permit.Judge{User: permit.Current(), Reads: true, Places: true}
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
	unit := make(map[string]string)
	for line := range strings.Lines(systemctl("show", "tokend.service", "--property=LoadState,User,Group,SupplementaryGroups,ProtectHome,PrivateTmp,ExecStart")) {
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
