package sdktest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/clientlib/manual"
)

// strangers are the commands of the manual that change a host or install packages. They do nothing
// here.
var strangers = []string{"usermod", "systemctl", "composer", "crontab", "php"}

// TestManualShell runs the shell commands of the manual, with what they call: curl, jq, nc,
// redis-cli, sqlite3. The commands of a page are one session that ends with the first failure. A
// block that begins with #! is a script. It may run until the end of the page.
func TestManualShell(t *testing.T) {
	t.Parallel()
	pages := manualBlocks(t, "sh")
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		t.Run(page, func(t *testing.T) {
			c := newChapter(t, page)
			c.begin(t)
			s := newSession(t, c, page, pages[page])
			for _, b := range pages[page] {
				c.hold(t, b, func() { s.next(t, b) })
			}
			if check := afterPage[page]; check != nil {
				check(t, c, s)
			}
		})
	}
}

// afterPage has what must hold after the commands of a page.
var afterPage = map[string]func(*testing.T, *chapter, *session){
	// The script of the page copies the token that replaces the killed one.
	"database.md": func(t *testing.T, c *chapter, s *session) {
		old := mustGet(t, c.site, officialToken)
		next, err := c.tokens.Client.Reject(t.Context(), officialToken, clientlib.Secret(old))
		if err != nil || next.Value.Reveal() == old {
			t.Fatalf("REJECT: %v, or the same value", err)
		}
		until(t, func() error {
			if row := run(t, nil, "sqlite3", "-cmd", ".timeout 5000", filepath.Join(s.dir, "app.db"), "SELECT access_token FROM wechat_token"); strings.TrimSpace(row) != next.Value.Reveal() {
				return errors.New("the row has another token")
			}
			return nil
		})
	},
	// The example that repeats a call succeeds with the token that the last command has killed.
	"curl.md": func(t *testing.T, c *chapter, s *session) {
		for _, b := range manualBlocks(t, "sh")["curl.md"] {
			if !strings.Contains(b.Text, "tokend reject") {
				continue
			}
			cmd, out := s.command(t, "sh", "-eu", "-c", c.words.Replace(b.Text))
			defer out.Close()
			own, begin := c.fetched(), len(s.text())
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v", b, err)
			}
			if got := string(s.text()[begin:]); c.fetched() != own || strings.Count(got, `"errcode"`) != 1 || !strings.Contains(got, `"errcode":0`) {
				t.Errorf("%s: after a killed token it fetched %d times and prints %s", b, c.fetched()-own, got)
			}
			return
		}
		t.Error("no example repeats a call")
	},
}

// session is a shell. It runs a block at a time.
type session struct {
	dir   string
	env   []string
	words *strings.Replacer
	steps *os.File // a line starts a block
	done  *bufio.Reader
	out   string // the file with all output
}

func newSession(t *testing.T, c *chapter, page string, blocks []manual.Block) *session {
	t.Helper()
	for _, tool := range []string{"curl", "jq", "nc", "redis-cli", "sqlite3"} {
		for _, b := range blocks {
			if strings.Contains(b.Text, tool+" ") {
				find(t, tool)
			}
		}
	}
	// A program's directory, with a clone of tokend beside it.
	s := &session{dir: filepath.Join(t.TempDir(), "app"), words: c.words}
	clone, err := filepath.Abs("../..")
	if err == nil {
		err = errors.Join(os.Mkdir(s.dir, 0o700), os.Symlink(clone, filepath.Join(s.dir, "../tokend")))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.out = filepath.Join(t.TempDir(), "out")
	if err := os.CopyFS(s.dir, os.DirFS("testdata/manual/"+strings.TrimSuffix(page, ".md"))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go.mod"), []byte("module app\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Only curl calls WeChat. Its configuration is in $HOME.
	rc := fmt.Sprintf("proxy = %q\nnoproxy = \"127.0.0.1\"\ncacert = %q\n", c.proxy, c.root)
	if err := os.WriteFile(filepath.Join(s.dir, ".curlrc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "HOME="+s.dir, "TOKEND_SOCKET="+c.tokens.Client.Socket,
		"GOMODCACHE="+strings.TrimSpace(run(t, nil, "go", "env", "GOMODCACHE")),
		"PATH="+s.commands(t)+":"+filepath.Dir(tokend)+":"+os.Getenv("PATH"))
	script := "set -eu\n"
	for _, b := range blocks {
		if !strings.HasPrefix(b.Text, "#!") {
			script += "read -r _ <&3\n" + c.words.Replace(b.Text) + "echo done >&4\n"
		}
	}
	for _, b := range manualBlocks(t, "sql")[page] {
		run(t, nil, find(t, "sqlite3"), filepath.Join(s.dir, "app.db"), c.words.Replace(b.Text))
	}
	cmd, out := s.command(t, "sh", "-c", script)
	read, steps, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.steps, s.done = steps, bufio.NewReader(done)
	cmd.ExtraFiles = []*os.File{read, write}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = read.Close(), write.Close() // so that the end of the shell is the end of done
	t.Cleanup(func() {
		_ = steps.Close()
		kill(cmd)
		_ = cmd.Wait()
		_ = done.Close()
		_ = out.Close()
	})
	return s
}

// commands returns a directory with commands in place of others.
func (s *session) commands(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put("sudo", `exec "$@"`)
	for _, name := range strangers {
		put(name, "exit 0")
	}
	return dir
}

// command returns a command in a process group of its own, and the file to close after it.
func (s *session) command(t *testing.T, name string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	out, err := os.OpenFile(s.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, out
}

// kill ends a command and what it has started.
func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// next runs the next block.
func (s *session) next(t *testing.T, b manual.Block) {
	t.Helper()
	if strings.HasPrefix(b.Text, "#!") {
		s.script(t, b)
		return
	}
	if _, err := fmt.Fprintln(s.steps, "go"); err != nil {
		t.Fatal(err)
	}
	if line, err := s.done.ReadString('\n'); err != nil || line != "done\n" {
		t.Fatalf("%s fails:\n%s", b, s.text())
	}
}

// script runs a script. It may run until the end of the test, unless it is from before tokend.
func (s *session) script(t *testing.T, b manual.Block) {
	t.Helper()
	file := filepath.Join(s.dir, fmt.Sprintf("script%d", b.Line))
	if err := os.WriteFile(file, []byte(s.words.Replace(b.Text)), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, out := s.command(t, file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		kill(cmd)
		_ = out.Close()
	})
	limit := time.Second
	if b.Before {
		limit = longEnough
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("%s: %v\n%s", b, err, s.text())
		}
	case <-time.After(limit):
		if b.Before {
			t.Fatalf("%s does not end:\n%s", b, s.text())
		}
	}
}

// text returns what the commands have printed.
func (s *session) text() []byte {
	out, _ := os.ReadFile(s.out)
	return bytes.TrimSpace(out)
}
