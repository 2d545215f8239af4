package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/permit"
)

// asDaemon returns the environment of the daemon that runs with a configuration, with a judge of
// its files for the daemon's user. unit is the unit that runs it, see unitOf.
func asDaemon(file string, unit map[string]string) config.Env {
	env := config.OSEnv()
	env.Judge = judge(file, unit)
	if unit != nil {
		env.CredentialFiles = credentialFiles()
	}
	return env
}

// credentialFiles returns the files of tokend.service's LoadCredential= and
// LoadCredentialEncrypted= lines, by name. systemctl show does not print them.
func credentialFiles() map[string]config.CredentialFile {
	files := make(map[string]config.CredentialFile)
	for line := range strings.Lines(systemctl("cat", "tokend.service")) {
		setting, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if setting != "LoadCredential" && setting != "LoadCredentialEncrypted" {
			continue
		}
		name, path, both := strings.Cut(value, ":")
		switch {
		case value == "": // removes the lines before
			clear(files)
		case both && filepath.IsAbs(path):
			files[name] = config.CredentialFile{Path: path}
			if setting == "LoadCredentialEncrypted" {
				files[name] = config.CredentialFile{Path: path, Decrypt: func() ([]byte, error) { return decrypted(name, path) }}
			}
		}
	}
	return files
}

// decrypted returns the content of an encrypted credential. Only root can decrypt it.
func decrypted(name, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	b, err := exec.CommandContext(ctx, "systemd-creds", "decrypt", "--name="+name, path, "-").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("systemd-creds decrypt %s: %s", path, strings.TrimSpace(string(exit.Stderr)))
	}
	return b, err
}

// systemctl returns what systemctl prints, "" if it fails or systemd does not run.
func systemctl(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// judge returns the judge for the user of a unit, nil for none.
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
	for line := range strings.Lines(systemctl("show", "tokend.service", "--property=LoadState,ActiveState,UnitFileState,NRestarts,Result,MainPID,NeedDaemonReload,"+
		"User,Group,SupplementaryGroups,ProtectHome,PrivateTmp,ExecStart")) {
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
