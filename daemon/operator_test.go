package daemon

import (
	"io"
	"strconv"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// pairsOf returns pairs by key.
func pairsOf(pairs []clientlib.Pair, err error) (map[string]string, error) {
	m := map[string]string{}
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m, err
}

// TestWaitingExplained holds that STATUS of a missing ticket has the refused pushes of its owner by
// cause, and STATS the time of the start and all refused pushes.
func TestWaitingExplained(t *testing.T) {
	s, file := newPlatformSite(t)
	began := time.Now().Unix()
	d := s.start(file)
	defer d.stop()
	const owner = "wxcomponent"
	const ticket = "open_platform/" + owner + "/component_verify_ticket"
	if m, err := pairsOf(s.client.Status(t.Context(), ticket)); err != nil || m["state"] != "waiting" || m["advice"] != "ticket" || m["pushes_refused"] != "-" || m["refused_at"] != "-" {
		t.Errorf("before: %v, %v", m, err)
	}
	s.wechat.SetQuirks(owner, wechattest.Quirks{BadSignature: true})
	s.wechat.Send(t.Context(), owner, s.wechat.TicketPush(owner))
	m, err := pairsOf(s.client.Status(t.Context(), ticket))
	if at, parse := time.Parse(time.RFC3339, m["refused_at"]); err != nil || parse != nil || m["pushes_refused"] != "signature=1" || at.Unix() < began {
		t.Errorf("after a refused push: %v, %v, %v", m, err, parse)
	}
	if m, err := pairsOf(s.client.Status(t.Context(), "open_platform/"+owner+"/component_access_token")); err != nil || m["pushes_refused"] != "-" {
		t.Errorf("of a token: %v, %v", m, err)
	}
	stats, err := pairsOf(s.client.Stats(t.Context()))
	started, parse := strconv.ParseInt(stats["started"], 10, 64)
	if err != nil || parse != nil || started < began || stats["pushes_refused:signature"] != "1" {
		t.Errorf("STATS: %v, %v", stats, err)
	}
}

// TestBackupTimeSurvives holds that the time of the last complete backup survives a restart.
func TestBackupTimeSurvives(t *testing.T) {
	s := newSite(t)
	file := s.config(accountsTOML)
	file.EncryptionKey = "0123456789abcdef0123456789abcdef"
	d := s.start(file)
	last := func() string {
		stats, err := pairsOf(s.client.Stats(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		return stats["last_backup"]
	}
	if got := last(); got != "" {
		t.Errorf("before a backup: %s", got)
	}
	if err := s.client.Backup(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); last() == "" && time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
	}
	want := last()
	if at, err := strconv.ParseInt(want, 10, 64); err != nil || time.Since(time.Unix(at, 0)) > time.Minute {
		t.Errorf("after a backup: %q", want)
	}
	d.stop()
	defer s.start(file).stop()
	if got := last(); got != want {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
}

// TestHistoryRestarts holds that a history survives a restart of the daemon, on disk.
func TestHistoryRestarts(t *testing.T) {
	s := newSite(t)
	file := s.config(accountsTOML)
	const name = "official_account/wxoa/access_token"
	d := s.start(file)
	if _, err := s.client.Get(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	want, err := s.client.History(t.Context(), name)
	if err != nil || len(want) != 1 {
		t.Fatalf("got %v, %v", want, err)
	}
	d.stop()
	defer s.start(file).stop()
	if got, err := s.client.History(t.Context(), name); err != nil || len(got) != 1 || got[0] != want[0] {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
}
