package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tokend/fetchers/wechattest"
)

// finding is an object in the output of doctor --json.
type finding struct {
	Check, Subject, Status, Text, Remedy string
	Exit                                 int
}

// diagnose runs doctor --json and returns its findings and its exit status.
func (s *site) diagnose(args ...string) (all []finding, code int) {
	s.t.Helper()
	out, stderr, code := s.tokend("", append([]string{"doctor", "--json", "--config", s.file()}, args...)...)
	if err := json.Unmarshal([]byte(out), &all); err != nil || stderr != "" {
		s.t.Fatalf("%v: %s\n%s", err, stderr, out)
	}
	for _, f := range all {
		if trouble := f.Status == "failed" || f.Status == "warning"; trouble != (f.Remedy != "") || (f.Status == "failed") != (f.Exit != 0) || f.Text == "" {
			s.t.Errorf("got %+v", f)
		}
	}
	return all, code
}

// find returns the first finding of a check whose subject contains a text.
func find(all []finding, check, subject string) finding {
	for _, f := range all {
		if f.Check == check && strings.Contains(f.Subject, subject) {
			return f
		}
	}
	return finding{}
}

// TestDoctorWell holds that doctor makes all checks, that a healthy site passes, and that --ask
// makes one call for each account and no second one.
func TestDoctorWell(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	all, code := s.diagnose()
	for _, check := range []string{"configuration", "store", "disk", "systemd", "socket", "rights", "version", "credentials", "address", "secrets", "backup", "descriptors", "proxy", "tcp", "http", "clock"} {
		if f := find(all, check, ""); f.Status != "ok" && f.Status != "skipped" {
			t.Errorf("%s: got %+v", check, f)
		}
	}
	calls := s.wechat.Total
	if code != exitDone || calls() != 0 {
		t.Errorf("status %d, %d calls", code, calls())
	}
	asked := 0
	for _, a := range s.accounts {
		for _, name := range a.Names() {
			if strings.HasSuffix(name, "access_token") && strings.Count(name, "/") < 4 {
				asked++
			}
		}
	}
	for range 2 {
		all, code := s.diagnose("--ask")
		if f := find(all, "secrets", ""); code != exitDone || f.Status != "ok" || calls() != asked {
			t.Errorf("--ask: status %d, %d calls, want %d, %+v", code, calls(), asked, f)
		}
	}
}

// TestDoctorFindings holds that doctor finds what is wrong, with a remedy and an exit status.
func TestDoctorFindings(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	const account, platform = "official_account/wxsandboxofficial/access_token", "open_platform/wxsandboxplatform/component_verify_ticket"
	s.wechat.Inject(wechattest.Fault{Account: "wxsandboxofficial", Code: 40125})
	s.wechat.Inject(wechattest.Fault{Account: "wxsandboxmini", Code: 40164})
	all, code := s.diagnose("--ask")
	for _, want := range []finding{
		{Check: "credentials", Status: "failed", Exit: exitFailed, Remedy: "tokend status"},
		{Check: "pushes", Subject: platform, Status: "failed", Exit: exitLater, Text: "no push has arrived", Remedy: "https://example.com/callback/open_platform/wxsandboxplatform"},
		{Check: "secrets", Subject: account, Status: "failed", Exit: exitFailed, Text: "errcode=40125", Remedy: "sudo tokend refresh " + account},
		{Check: "secrets", Subject: "mini_program/wxsandboxmini", Status: "failed", Exit: exitFailed, Text: "192.0.2.1", Remedy: "allowlist"},
	} {
		f := find(all, want.Check, want.Subject)
		if f.Status != want.Status || f.Exit != want.Exit || !strings.Contains(f.Text, want.Text) || !strings.Contains(f.Remedy, want.Remedy) {
			t.Errorf("got  %+v\nwant %+v", f, want)
		}
	}
	if code != exitFailed { // of the first, credentials
		t.Errorf("status %d", code)
	}
	// Held accounts are tried again, but WeChat allows a forced refresh every 30 s only.
	s.diagnose("--ask")
	calls := s.wechat.Total()
	if s.diagnose("--ask"); s.wechat.Total() != calls {
		t.Errorf("%d calls, want %d", s.wechat.Total(), calls)
	}
	all, _ = s.diagnose()
	if f := find(all, "address", ""); f.Status != "failed" || f.Subject != "192.0.2.1" || !strings.Contains(f.Remedy, "192.0.2.1") {
		t.Errorf("got %+v", f)
	}

	// The daemon is down, and the configuration has a mistake.
	s.end(unix.SIGTERM)
	all, code = s.diagnose()
	if f := find(all, "socket", ""); code != exitNoDaemon || f.Exit != exitNoDaemon || find(all, "clock", "").Status != "ok" {
		t.Errorf("without a daemon: status %d, %+v", code, all)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "tokend.toml"), []byte("sokcet = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := s.tokend("", "doctor", "--timeout", "3s", "--config", s.file()); code != exitUsage || !strings.Contains(out, "sokcet") || !strings.Contains(out, "What to do: ") {
		t.Errorf("with a mistake: status %d\n%s", code, out)
	}
}
