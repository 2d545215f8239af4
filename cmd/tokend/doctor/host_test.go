package doctor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/config"
)

// findings returns what f finds.
func findings(d *Doctor, f func()) (got []Finding) {
	d.emit = func(f Finding) { got = append(got, f) }
	f()
	return got
}

func TestConfiguration(t *testing.T) {
	for _, test := range []struct {
		name string
		d    Doctor
		want []Finding
	}{
		{"well", Doctor{Config: &config.Config{}}, []Finding{{Level: OK}}},
		{"warned", Doctor{Config: &config.Config{}, Warnings: []string{"line 1: a", "line 2: b"}}, []Finding{{Level: Warning, Text: "line 1: a"}, {Level: Warning, Text: "line 2: b"}}},
		{"mistakes", Doctor{Mistakes: errors.New("line 1: a\n\nline 2: b\n")}, []Finding{{Level: Failed, Exit: exitUsage, Text: "line 1: a"}, {Level: Failed, Exit: exitUsage, Text: "line 2: b"}}},
		{"closed", Doctor{Mistakes: fs.ErrPermission}, []Finding{{Level: Failed, Exit: exitDenied}}},
	} {
		got := findings(&test.d, test.d.configuration)
		if len(got) != len(test.want) {
			t.Errorf("%s: got %+v", test.name, got)
			continue
		}
		for i, want := range test.want {
			if f := got[i]; f.Level != want.Level || f.Exit != want.Exit || want.Text != "" && f.Text != want.Text || (f.Level != OK) != (f.Remedy != "") {
				t.Errorf("%s: got %+v", test.name, f)
			}
		}
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	closed := filepath.Join(dir, "closed")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.Mkdir(open, 0o700), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]Level{closed: OK, open: Failed, file: Failed, filepath.Join(dir, "none", "yet"): Skipped} {
		d := &Doctor{Config: &config.Config{StateDir: at}}
		got := findings(d, d.disk)
		if len(got) != 2 || got[0].Check != "store" || got[0].Level != want || got[1].Check != "disk" || got[1].Text == "" {
			t.Errorf("%s: got %+v, want %s", at, got, want)
		}
	}
}

func TestUnit(t *testing.T) {
	well := map[string]string{"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "0", "NeedDaemonReload": "no", "MainPID": "1"}
	for _, test := range []struct {
		key, value string
		want       Level
	}{
		{"", "", OK},
		{"ActiveState", "failed", Failed},
		{"UnitFileState", "disabled", Warning},
		{"NRestarts", "7", Warning},
		{"NeedDaemonReload", "yes", Warning},
	} {
		d := &Doctor{Unit: maps.Clone(well)}
		d.Unit[test.key] = test.value
		got := findings(d, d.unit)
		if len(got) != 1 || got[0].Level != test.want || (test.want == Warning || test.want == Failed) != (got[0].Remedy != "") {
			t.Errorf("%s=%s: got %+v, want %s", test.key, test.value, got, test.want)
		}
	}
	d := &Doctor{}
	if got := findings(d, d.unit); got[0].Level != Skipped {
		t.Errorf("without systemd: got %+v", got)
	}
}

func TestBackupAge(t *testing.T) {
	grant := []clientlib.Listing{{Name: "open_platform/wx1/wx2/refresh_token", State: "fresh"}}
	for _, test := range []struct {
		name string
		age  time.Duration // 0 for none
		all  []clientlib.Listing
		want Level
	}{
		{"recent", time.Hour, grant, OK},
		{"old", 25 * time.Hour, grant, Warning},
		{"none", 0, grant, Warning},
		{"not needed", 0, nil, OK},
	} {
		d := &Doctor{}
		d.state = daemonState{all: test.all, stats: map[string]string{}}
		if test.age > 0 {
			d.state.stats["last_backup"] = strconv.FormatInt(time.Now().Add(-test.age).Unix(), 10)
		}
		if got := findings(d, d.backup); len(got) != 1 || got[0].Level != test.want {
			t.Errorf("%s: got %+v, want %s", test.name, got, test.want)
		}
	}
}

func TestVersionSkew(t *testing.T) {
	for version, want := range map[string]Level{"1.2.3": OK, "1.2.2": Warning} {
		d := &Doctor{Version: "1.2.3"}
		d.state.version = version
		if got := findings(d, d.version); got[0].Level != want {
			t.Errorf("%s: got %+v, want %s", version, got, want)
		}
	}
}

func TestAccounts(t *testing.T) {
	for name, want := range map[string]bool{
		"official_account/wx1/access_token":             true,
		"official_account/wx1/jsapi_ticket":             false,
		"mini_program/wx1/access_token":                 true,
		"work/ww1/1/access_token":                       true,
		"work/ww1/1/ww2/access_token":                   false,
		"open_platform/wx1/component_access_token":      true,
		"open_platform/wx1/wx2/access_token":            false,
		"open_work/ww1/provider_access_token":           true,
		"open_work/ww2/suite_access_token":              true,
		"open_work/ww2/ww3/access_token":                false,
		"open_work/ww2/suite_ticket":                    false,
		"open_platform/wx1/component_verify_ticket":     false,
		"of a later version/wx1/component_access_token": false,
	} {
		if got := account(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
