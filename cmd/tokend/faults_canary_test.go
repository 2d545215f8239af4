package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tokend/clientlib"
	"tokend/daemon/store"
)

// disguises returns the encodings of a secret that reveal it.
func disguises(secret string) map[string]string {
	return map[string]string{
		"in clear":  secret,
		"in hex":    hex.EncodeToString([]byte(secret)),
		"in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
	}
}

// shows fails the test if text contains a canary.
func shows(t *testing.T, what, text string, canaries []string) {
	t.Helper()
	for _, c := range canaries {
		for how, form := range disguises(c) {
			if strings.Contains(text, form) {
				t.Errorf("%s shows a secret or a value (of %d bytes, %s)", what, len(c), how)
			}
		}
	}
}

// found counts the canaries in the files of a directory, in any encoding.
func found(t *testing.T, dir string, canaries []string) (n, files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted away: another file has its content
		}
		if err != nil || !d.Type().IsRegular() {
			return err // sockets have no content
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		for _, c := range canaries {
			for _, form := range disguises(c) {
				if bytes.Contains(b, []byte(form)) {
					n++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, files
}

// canaries uses every kind of secret and returns all of them: configured secrets, tokens, tickets,
// old and new grants, codes.
func (s *faultSite) canaries() []string {
	s.t.Helper()
	all := []string{faultPlatformSecret, faultTemplateSecret, faultSigns, faultAESKey}
	for _, a := range s.accounts {
		all = append(all, a.Secret)
	}
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	ticket, err := s.pushTicket(s.client)
	must(err)
	all = append(all, ticket)
	owner := "open_platform/" + faultPlatform
	for range 3 {
		child := s.newChild("wxput")
		grant := s.wechat.AddCustomer(faultPlatform, child)
		must(s.client.Put(s.t.Context(), owner+"/"+child+"/refresh_token", clientlib.Secret(grant)))
		all = append(all, grant, s.good(s.client, owner+"/"+child+"/access_token"), s.wechat.CurrentGrant(faultPlatform, child))

		child = s.newChild("wxcode")
		code := s.wechat.Authorize(faultPlatform, child)
		all = append(all, code, s.wechat.CurrentGrant(faultPlatform, child))
		name, err := s.client.Exchange(s.t.Context(), owner, clientlib.Secret(code))
		must(err)
		all = append(all, s.good(s.client, name+"/access_token"), s.good(s.client, name+"/jsapi_ticket"), s.wechat.CurrentGrant(faultPlatform, child))

		corp := s.newChild("wwcode")
		permanent := s.wechat.AddCustomer(faultTemplate, corp)
		must(s.client.Put(s.t.Context(), "open_work/"+faultTemplate+"/"+corp+"/permanent_code", clientlib.Secret(permanent)))
		all = append(all, permanent, s.good(s.client, "open_work/"+faultTemplate+"/"+corp+"/access_token"))
	}
	for _, a := range s.accounts {
		for _, name := range a.Names() {
			all = append(all, s.good(s.client, name))
		}
	}
	return all
}

// TestStateHoldsNothingInClear searches all files of a sealed state directory for every secret,
// token, ticket, grant and code: after a kill, after a stop, after a change of the key, and in a
// backup. In an unsealed state the search finds them, so the sealing hides them.
func TestStateHoldsNothingInClear(t *testing.T) {
	t.Parallel()
	const key, next = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
	clear := newFaultSite(t, twoHours)
	clear.spawn()
	clear.answers()
	used := clear.canaries()
	clear.kill()
	if n, _ := found(t, filepath.Join(clear.dir, "state"), used); n < 20 {
		t.Errorf("found in an unsealed state: %d of %d: the search does not work", n, len(used))
	}

	s := newFaultSite(t, twoHours)
	s.conf.LogLevel = "trace"
	state := filepath.Join(s.dir, "state")
	sealed := func(k string) { s.configure("encryption_key = \""+k+"\"\n", faultTables()) }
	sealed(key)
	canaries := []string{key, next}
	files := 0
	look := func(when string) {
		t.Helper()
		n, f := found(t, state, canaries)
		if n > 0 {
			t.Errorf("%s: %d secrets in the state directory", when, n)
		}
		files += f
	}
	for range rounds(2, 20) {
		s.spawn()
		s.answers()
		canaries = append(canaries, s.canaries()...)
		look("while it runs")
		s.kill()
		look("after a kill")
	}
	s.spawn()
	s.answers()
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	look("after a stop")

	old, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := hex.DecodeString(next)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Rekey(t.Context(), store.Config{Dir: state, Key: old}, changed); err != nil {
		t.Fatal(err)
	}
	look("after the key was changed")
	out, err := exec.Command("tokend", "serve", "--config", s.file()).CombinedOutput()
	if err == nil {
		t.Error("the old key opens the store")
	}
	shows(t, "the refusal of the old key", string(out), canaries)
	look("after the old key was refused")
	sealed(next)
	s.spawn()
	s.answers()
	canaries = append(canaries, s.canaries()...)
	look("with the new key")
	s.kill()

	st, err := store.Open(store.Config{Dir: state, Key: changed})
	if err != nil {
		t.Fatal(err)
	}
	var backup strings.Builder
	if err := st.Backup(&backup); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	shows(t, "a backup", backup.String(), canaries)
	log := s.log()
	if !strings.Contains(log, "[DEBUG]") || backup.Len() == 0 {
		t.Error("nothing to search")
	}
	shows(t, "the log", log, canaries)
	t.Logf("searched %d files, a backup of %d bytes and a log of %d bytes for %d secrets: none found", files, backup.Len(), len(log), len(canaries))
}

// TestFingerprintsAreKeyed holds that equal values have equal fingerprints in one state directory,
// also after a restart, and other fingerprints in another. Without the directory, values cannot be
// tested against a fingerprint.
func TestFingerprintsAreKeyed(t *testing.T) {
	t.Parallel()
	const ticket = "ticket@@@the-same-in-both"
	of := func(s *faultSite) string {
		s.spawn()
		s.answers()
		if err := s.client.Put(t.Context(), faultTicket, ticket); err != nil {
			t.Fatal(err)
		}
		return s.status(faultTicket, "fingerprint")
	}
	one, other := newFaultSite(t, twoHours), newFaultSite(t, twoHours)
	first := of(one)
	one.kill()
	if again := of(one); again != first {
		t.Errorf("after a restart: got %s, want %s", again, first)
	}
	if second := of(other); second == first {
		t.Errorf("two state directories have the same fingerprint %s", first)
	}
}
