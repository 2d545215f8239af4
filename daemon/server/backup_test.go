package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// backupOf is a Config.Backup that is always the same.
func backupOf(text string) func(context.Context) (io.ReadCloser, int64, error) {
	return func(context.Context) (io.ReadCloser, int64, error) {
		return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
	}
}

// readBackup reads a reply to BACKUP.
func readBackup(t *testing.T, reply string) string {
	t.Helper()
	var n int
	head, rest, _ := strings.Cut(reply, "\n")
	if _, err := fmt.Sscanf(head, "OK %d", &n); err != nil || n != strings.Count(rest, "\n") {
		t.Fatalf("%q is followed by %d lines, %v", head, strings.Count(rest, "\n"), err)
	}
	for line := range strings.Lines(rest) {
		if len(line) > protocol.MaxLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	whole, err := base64.StdEncoding.Strict().DecodeString(strings.ReplaceAll(rest, "\n", "")) // as a shell does
	if err != nil {
		t.Fatal(err)
	}
	return string(whole)
}

func TestBackup(t *testing.T) {
	for _, size := range []int{0, 1, protocol.MaxPiece - 1, protocol.MaxPiece, protocol.MaxPiece + 1, 5*protocol.MaxPiece + 2} {
		want := strings.Repeat("t\x00\xff\n7", size/5+1)[:size]
		s := sessionOf(New(Config{Backup: backupOf(want)}), access.Peer{})
		got, _ := drive(t, s, []byte("BACKUP\n"))
		if readBackup(t, got) != want {
			t.Errorf("%d bytes do not arrive as they were", size)
		}
	}
}

// Nobody but root and the daemon's own user is given one, whatever a rule says; there is nothing
// to be given where nothing is kept.
func TestBackupIsForOperators(t *testing.T) {
	const denied = "ERR DENIED - BACKUP is not granted to this user\n"
	const self = 990
	all := []access.Rule{{UIDs: []uint32{alice}, Names: []string{"*"}, Verbs: []string{"BACKUP", "GET"}}}
	for _, tt := range []struct {
		about string
		rules []access.Rule
		uid   uint32
		want  string
	}{
		{"root", nil, 0, "OK 1\nYQ==\n"},
		{"root, with rules", all, 0, "OK 1\nYQ==\n"},
		{"the daemon's own user", all, self, "OK 1\nYQ==\n"},
		{"another, without rules", nil, alice, denied},
		{"another, with a rule for all", all, alice, denied},
		{"a stranger", all, bob, denied},
	} {
		var log bytes.Buffer
		srv := New(Config{Backup: backupOf("a"), Logger: testLogger(&log)})
		srv.users.self = self
		srv.SetRules(tt.rules)
		got, _ := drive(t, sessionOf(srv, access.Peer{UID: tt.uid}), []byte("BACKUP\n"))
		if got != tt.want {
			t.Errorf("%s\n got %q\nwant %q", tt.about, got, tt.want)
		}
		outcome := "outcome=ok"
		if tt.want == denied {
			outcome = "outcome=DENIED"
		}
		if lines := auditLines(log.String()); len(lines) != 1 || !strings.HasPrefix(lines[0], "verb=BACKUP name=- uid=") || !strings.HasSuffix(lines[0], outcome) {
			t.Errorf("%s: audit\n got %q\nwant BACKUP with %s", tt.about, lines, outcome)
		}
	}
	s := sessionOf(New(Config{}), access.Peer{})
	if got, _ := drive(t, s, []byte("BACKUP\n")); got != "ERR NOT_FOUND - nothing is kept that could be backed up\n" {
		t.Errorf("got %q", got)
	}
}

func TestBackupThatFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&credential.Error{Reason: credential.Busy, RetryAfter: time.Minute, Message: "no room"}, "ERR BUSY 60 no room\n"},
		{errFault, "ERR INTERNAL - internal error, see the log for request "},
	} {
		var log bytes.Buffer
		s := sessionOf(New(Config{Logger: testLogger(&log), Backup: func(context.Context) (io.ReadCloser, int64, error) {
			return nil, 0, tt.err
		}}), access.Peer{})
		for range 2 { // the second is no more busy than the first
			got, _ := drive(t, s, []byte("BACKUP\n"))
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "canary") {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		}
	}
}

// What cannot be read to its end is cut off, so that nobody takes it for the whole.
func TestBackupUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		closed := false
		r := start(t, Config{Logger: testLogger(&log), Backup: func(context.Context) (io.ReadCloser, int64, error) {
			broken := io.MultiReader(strings.NewReader(strings.Repeat("x", protocol.MaxPiece)), iotest.ErrReader(errors.New("disk gone")))
			return closer{broken, &closed}, 2 * protocol.MaxPiece, nil
		}})
		c := r.ln.dial(t)
		c.send("BACKUP\n")
		c.want(c.line(), "OK 2")
		if got := c.rest(); strings.Count(got, "\n") != 1 {
			t.Errorf("%d lines, want one and then the end", strings.Count(got, "\n"))
		}
		synctest.Wait()
		if !closed {
			t.Error("it was not closed")
		}
		if text := log.String(); !strings.Contains(text, "disk gone") || !strings.Contains(text, "outcome=INTERNAL") {
			t.Errorf("log:\n%s", text)
		}
	})
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error {
	*c.closed = true
	return nil
}

// TestBackupsOneAtATime checks that a second backup gets BUSY until the first has ended, also by a
// close of its peer.
func TestBackupsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		slow := func(ctx context.Context) (io.ReadCloser, int64, error) {
			select {
			case <-ctx.Done():
				return nil, 0, ctx.Err()
			case <-time.After(time.Minute):
				return backupOf("a")(ctx)
			}
		}
		r := start(t, Config{Backup: slow, Logger: testLogger(&log)})
		first, second := r.ln.dial(t), r.ln.dial(t)
		first.send("BACKUP\n")
		synctest.Wait()
		second.want(second.ask("BACKUP"), "ERR BUSY 1 another backup is being made")
		second.want(second.ask("GET "+token), "OK 7200 tok-01") // nobody waits for it
		first.Close()
		synctest.Wait()
		if !strings.Contains(log.String(), "verb=BACKUP name=- uid=0 user=root pid=0 unit=- outcome=gone") {
			t.Errorf("log:\n%s", log.String())
		}
		second.want(second.ask("BACKUP"), "OK 1")
		second.want(second.line(), "YQ==")
		synctest.Wait() // its place is given back after its last line
		third := r.ln.dial(t)
		third.send("BACKUP\n")
		synctest.Wait()
		r.stop()
		third.want(third.rest(), "ERR SHUTDOWN 1 the daemon is stopping\n")
	})
}

// A peer that stops reading is given up, and with it its place.
func TestBackupThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Backup: backupOf(strings.Repeat("x", 10*protocol.MaxPiece))})
		deaf, other := r.ln.dial(t), r.ln.dial(t)
		deaf.send("BACKUP\n")
		synctest.Wait()
		other.want(other.ask("BACKUP"), "ERR BUSY 1 another backup is being made")
		time.Sleep(time.Minute)
		other.want(other.ask("BACKUP"), "OK 10")
	})
}

func TestSocketBackupByRealUsers(t *testing.T) { overBoth(t, trySocketBackupByRealUsers) }

func trySocketBackupByRealUsers(t *testing.T, d driver) {
	needRoot(t)
	path, _, _ := d.startSocket(t, Config{Backup: backupOf("a"), Rules: []access.Rule{
		{UIDs: []uint32{1201}, Names: []string{"*"}, Verbs: []string{"GET", "BACKUP"}},
	}})
	for uid, want := range map[uint32]string{
		0:    "OK 1",
		1201: "ERR DENIED - BACKUP is not granted to this user",
		1203: "ERR DENIED - BACKUP is not granted to this user",
	} {
		if got := askAs(t, path, "BACKUP", account(uid)); got != want {
			t.Errorf("uid %d\n got %q\nwant %q", uid, got, want)
		}
	}
}
