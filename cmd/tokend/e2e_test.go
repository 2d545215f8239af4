package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// TestNothingSecretIsWritten searches everything that tokend writes for every secret and every
// served value. Only get, reject and refresh may print values.
func TestNothingSecretIsWritten(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("c0ffee42", 8)
	s := newSite(t, "encryption_key = \""+key+"\"\n")
	mistyped := strings.Replace(s.conf.TOML(), s.accounts[2].Secret, "mistyped-canary", 1)
	if err := os.WriteFile(s.file(), []byte("encryption_key = \""+key+"\"\n"+mistyped), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve()

	canaries := map[string]bool{key: true, "mistyped-canary": true}
	for _, a := range s.accounts {
		canaries[a.Secret] = true
	}
	var shown strings.Builder
	value := func(stdin string, args ...string) { // their output is the value
		stdout, stderr, code := s.tokend(stdin, args...)
		if v := strings.TrimSpace(stdout); code == 0 && v != "" {
			canaries[v] = true
		} else {
			shown.WriteString(stdout)
		}
		shown.WriteString(stderr)
	}
	session := func() {
		for _, a := range s.accounts {
			for _, name := range a.Names() {
				value("", "get", name)
				value("rejected-canary-of-"+strings.ReplaceAll(name, "/", "-")+"\n", "reject", name, "-")
				value("", "refresh", name)
				for _, args := range [][]string{{"status", name}, {"status", "--json", name}, {"history", name}, {"history", "--json", name}} {
					stdout, stderr, _ := s.tokend("", args...)
					shown.WriteString(stdout + stderr)
				}
				canaries["rejected-canary-of-"+strings.ReplaceAll(name, "/", "-")] = true
			}
		}
		for _, args := range [][]string{{"list"}, {"list", "--json"}, {"status"}, {"status", "--json"}} {
			stdout, stderr, _ := s.tokend("", args...)
			shown.WriteString(stdout + stderr)
		}
	}
	session()
	for _, f := range []wechattest.Fault{{Code: 40001}, {Body: wechattest.HTML}, {Lost: true}, {ExpiresIn: "-1"}, {Cut: true}} {
		clear := s.wechat.Inject(f)
		session()
		clear()
	}
	if err := s.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}

	if len(canaries) < 30 || !strings.Contains(s.log(), "[DEBUG]") || !strings.Contains(shown.String(), "errcode=40001") {
		t.Fatalf("the session failed: %d canaries\n%s", len(canaries), s.log())
	}
	for what, text := range map[string]string{"the log": s.log(), "what commands print": shown.String()} {
		for c := range canaries {
			if strings.Contains(text, c) || strings.Contains(text, hex.EncodeToString([]byte(c))) {
				t.Errorf("%s shows a secret or a value (of %d bytes)", what, len(c))
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for c := range canaries {
			if strings.Contains(string(b), c) {
				t.Errorf("%s contains a secret or a value in clear (of %d bytes)", filepath.Base(path), len(c))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNothingIsShared invalidates the values of one account, or of one downstream corp of an app,
// after another: exactly the account's own names must lose their values.
func TestNothingIsShared(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	values := s.everything()
	sorted := slices.Sorted(maps.Values(values))
	if got := len(slices.Compact(sorted)); got != len(values) {
		t.Errorf("different values: got %d, want %d", got, len(values))
	}
	owns := map[string][]string{}
	for _, a := range s.accounts {
		for _, name := range a.Names() {
			_, id, _ := strings.Cut(path.Dir(name), "/")
			owns[id] = append(owns[id], name)
		}
	}
	for id, names := range owns {
		before := map[string]bool{}
		for name, v := range values {
			before[name] = s.wechat.Valid(v)
		}
		s.wechat.KillAll(id)
		for name, v := range values {
			own := slices.Contains(names, name)
			if own && !before[name] {
				t.Errorf("%s was invalidated with another account", name)
			}
			if alive := s.wechat.Valid(v); alive != (before[name] && !own) {
				t.Errorf("%s after the invalidation of %s: valid %t", name, id, alive)
			}
		}
	}
}

// TestKillAndRestart kills the daemon during reads, three times: every value is read a thousand
// times afterwards, without a call to WeChat.
func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	values := s.everything()
	calls := s.wechat.Total()
	if calls != len(values) {
		t.Errorf("calls for %d credentials: got %d", len(values), calls)
	}
	names := slices.Collect(maps.Keys(values))
	for range 3 {
		var readers sync.WaitGroup
		begun := make(chan struct{})
		once := sync.OnceFunc(func() { close(begun) })
		for i := range 4 {
			readers.Go(func() {
				c := &clientlib.Client{Socket: s.conf.Socket()}
				defer c.Close()
				for n := i; ; n++ {
					v, err := c.Get(context.Background(), names[n%len(names)])
					if err != nil {
						return // the daemon was killed
					}
					if string(v.Value) != values[names[n%len(names)]] {
						t.Errorf("%s: another value than before", names[n%len(names)])
						return
					}
					once()
				}
			})
		}
		<-begun
		s.end(syscall.SIGKILL)
		readers.Wait()
		s.serve()
		for n := range 1000 {
			name := names[n%len(names)]
			v, err := s.client.Get(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if string(v.Value) != values[name] {
				t.Fatalf("%s: another value than before", name)
			}
		}
	}
	if got := s.wechat.Total(); got != calls {
		t.Errorf("calls after the restarts: got %d more, want none", got-calls)
	}
}

// TestSecondSignal holds that a stop waits for the fetch of a rotating token, and that a second
// signal does not.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	s.wechat.Inject(wechattest.Fault{Delay: longEnough})
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		_, err := s.client.Get(context.Background(), "official_account/wxsandboxrotating/access_token")
		if err == nil {
			t.Error("the call was answered")
		}
	})
	for began := time.Now(); s.wechat.Total() == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > longEnough {
			t.Fatal("no call is made")
		}
	}
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitLog("stopping: why=")
	// The signal counts as the second after the first has been handled.
	if code := s.end(syscall.SIGTERM); code != 1 {
		t.Errorf("exit status: got %d, want 1", code)
	}
	if !strings.Contains(s.log(), "tokend: stopped at once by a second signal") {
		t.Errorf("not logged:\n%s", s.log())
	}
}

// TestRejectInterrupted interrupts a "reject NAME -" that waits for input.
func TestRejectInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	defer w.Close()
	if _, err := valueOf(ctx, "-", r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestJSONLog holds that with log_format = "json" every line is an object, including warnings about
// the configuration.
func TestJSONLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, "log_format = \"json\"\n")
	if err := os.Chmod(s.file(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // so that others can reach the file
		t.Fatal(err)
	}
	s.serve()
	s.everything()
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	for line := range strings.Lines(s.log()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if !strings.Contains(s.log(), "every user of this host can read it") {
		t.Errorf("missing warning in\n%s", s.log())
	}
}

// TestStatusByCode holds that every code of the protocol has an exit status.
func TestStatusByCode(t *testing.T) {
	want := map[string]int{
		"BAD_REQUEST": 2, "NOT_FOUND": 3, "DENIED": 3, "WAITING": 4, "UPSTREAM": 1, "UNAVAILABLE": 4,
		"LIMITED": 4, "REAUTH": 1, "BUSY": 4, "SHUTDOWN": 4, "INTERNAL": 1,
	}
	for code, status := range byCode {
		if want[string(code)] != status {
			t.Errorf("%s: got %d, want %d", code, status, want[string(code)])
		}
	}
	if len(byCode) != len(want) {
		t.Errorf("codes: got %d, want %d", len(byCode), len(want))
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{&clientlib.Error{Code: "LATER_VERSION", RetryAfter: 1}, 4},
		{&clientlib.Error{Code: "LATER_VERSION", RetryAfter: clientlib.Never}, 1},
		{&askError{err: context.DeadlineExceeded}, 4},
		{&askError{err: clientlib.ErrNoDaemon}, 5},
		{&askError{err: fs.ErrPermission}, 3},
		{fs.ErrPermission, 1}, // of a file, not of the socket
	} {
		if got := status(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}
