package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// nobody is the uid and gid of a user without rights. The tests need root to switch to it.
const nobody = 65534

// programs returns a directory in which every user finds the commands of this test binary.
func (s *faultSite) programs() string {
	s.t.Helper()
	if os.Getuid() != 0 {
		want(s.t, os.ErrPermission, "other users")
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(s.dir, 0o711); err != nil { // its files keep their modes
		s.t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // regardless of the umask
		s.t.Fatal(err)
	}
	for _, name := range []string{"tokend", "stranger"} {
		b, err := os.ReadFile(self)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o755)
		}
		if err == nil {
			err = os.Chmod(filepath.Join(dir, name), 0o755)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return dir
}

// asNobody returns a command that user nobody runs.
func asNobody(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// talk sends requests as user nobody and returns the replies.
func (s *faultSite) talk(programs, requests string) string {
	s.t.Helper()
	cmd := asNobody(filepath.Join(programs, "stranger"), "talk", s.conf.Socket())
	cmd.Stdin = strings.NewReader(requests)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

// TestAnotherUserCannotConnect holds that the socket's mode keeps another user out, and that
// nothing but the mode does.
func TestAnotherUserCannotConnect(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	programs := s.programs()
	for _, c := range []struct {
		mode string
		in   bool
	}{{"0600", false}, {"0660", false}, {"0666", true}} {
		s.configure("socket_mode = \""+c.mode+"\"\n", faultTables())
		s.ready()
		got := s.talk(programs, "PING\n")
		if in := got == "OK PONG\n"; in != c.in || !in && !strings.Contains(got, "permission denied") {
			t.Errorf("mode %s: got %q", c.mode, got)
		}
		cmd := asNobody(filepath.Join(programs, "tokend"), "get", "--socket", s.conf.Socket(), s.tokens()[0])
		out, _ := cmd.Output()
		if code, want := cmd.ProcessState.ExitCode(), map[bool]int{true: 0, false: 3}[c.in]; code != want || (len(out) > 0) != c.in {
			t.Errorf("mode %s: tokend get: exit status %d, want %d; %d bytes", c.mode, code, want, len(out))
		}
		s.kill()
	}
}

// TestAnotherUserLearnsNothing sends requests as another user, who may see one account. For all
// other names, every verb gives the same reply to existing and unknown names, and LIST and WATCH do
// not show them.
func TestAnotherUserLearnsNothing(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	programs := s.programs()
	const shown = "official_account/wxsandboxofficial/"
	s.configure("socket_mode = \"0666\"\n", faultTables()+`
[[access]]
users = ["nobody"]
names = ["`+shown+`*"]
verbs = ["GET", "REJECT", "REFRESH", "PUT", "SIGN", "LIST", "STATUS", "HISTORY", "STATS", "WATCH", "EXCHANGE", "PUSH", "IMPORT"]
`)
	s.ready()
	token, err := s.customer(s.client)
	if err != nil {
		t.Fatal(err)
	}
	s.good(s.client, token)
	grant := strings.TrimSuffix(token, "access_token") + "refresh_token"

	// Pairs of an existing and an unknown name.
	hidden := [][2]string{
		{"work/wwsandboxcorp/1000002/access_token", "work/wwsandboxcorp/1000009/access_token"},
		{"open_platform/" + faultPlatform + "/component_access_token", "open_platform/wxnosuchplatform/component_access_token"},
		{faultTicket, "open_platform/wxnosuchplatform/component_verify_ticket"},
		{token, "open_platform/" + faultPlatform + "/wxnosuch/access_token"},
		{grant, "open_platform/wxnosuchplatform/wxput00001/refresh_token"},
		{"open_platform/" + faultPlatform, "open_platform/wxnosuchplatform"},
		{"open_work/" + faultTemplate, "open_work/dknosuchtemplate"},
	}
	asked := 0
	for _, form := range []string{
		"GET %", "REJECT % v", "REFRESH %", "PUT % v", "SIGN % https://example.com/", "STATUS %", "HISTORY %", "LIST %",
		"EXCHANGE % c", "IMPORT % 0", "PUSH % " + strings.Repeat("0a", 20) + " 1 n YQ",
	} {
		for _, pair := range hidden {
			var got [2]string
			for i, name := range pair {
				got[i] = strings.ReplaceAll(s.talk(programs, strings.ReplaceAll(form, "%", name)+"\n"), name, "%")
			}
			if got[0] != got[1] || !strings.HasPrefix(got[0], "ERR ") && got[0] != "OK 0\n" {
				t.Errorf("%s of %s:\n got %q\nwant %q, as of %s", form, pair[0], got[0], got[1], pair[1])
			}
			asked++
		}
	}
	list := s.talk(programs, "LIST\nGET "+shown+"access_token\n")
	for i, line := range strings.Split(strings.TrimSpace(list), "\n") {
		if i > 0 && !strings.HasPrefix(line, shown) && !strings.HasPrefix(line, "OK ") {
			t.Errorf("LIST shows %q", line)
		}
	}
	if !strings.Contains(list, shown+"access_token fresh ") || strings.Count(list, "OK ") != 2 {
		t.Errorf("granted names are missing: %q", list)
	}

	watch := asNobody(filepath.Join(programs, "stranger"), "talk", s.conf.Socket())
	in, err := watch.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = watch.Process.Kill()
		_ = watch.Wait()
	}()
	if _, err := in.Write([]byte("WATCH\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan() // OK n: the watch has started
	for _, name := range []string{"work/wwsandboxcorp/1000002/access_token", token, shown + "access_token"} {
		if _, err := s.client.Refresh(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for lines.Scan() {
		name := strings.TrimPrefix(lines.Text(), "CHANGED ")
		if !strings.HasPrefix(name, shown) {
			t.Errorf("WATCH shows %q", lines.Text())
		}
		if name != lines.Text() {
			break // the change of a visible name; hidden changes came before
		}
	}
	t.Logf("%d requests each for existing and unknown names: same replies", asked)
}

// TestAnotherUserWithoutRules holds the default in docs/configuration.md: a user who can open the
// socket can read, and change nothing.
func TestAnotherUserWithoutRules(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	programs := s.programs()
	s.configure("socket_mode = \"0666\"\n", faultTables())
	s.ready()
	name := s.tokens()[0]
	for _, c := range []struct{ request, want string }{
		{"GET " + name, "OK "},
		{"REFRESH " + name, "ERR DENIED - "},
		{"PUT " + faultTicket + " v", "ERR DENIED - "},
		{"EXCHANGE open_platform/" + faultPlatform + " c", "ERR DENIED - "},
		{"IMPORT open_platform/" + faultPlatform + " 0", "ERR DENIED - "},
	} {
		if got := s.talk(programs, c.request+"\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %.40q, want %q", c.request, got, c.want)
		}
	}
}

// TestProcessIsClosed runs the daemon as a user with a lax umask and limits. Other processes of the
// user cannot inspect it, it leaves no core, and its files are private.
func TestProcessIsClosed(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	programs := s.programs()
	for _, path := range []string{s.dir, s.file()} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	cmd := asNobody("/bin/sh", "-c", `umask 0; ulimit -c unlimited; exec "$0" serve --config "$1"`, filepath.Join(programs, "tokend"), s.file())
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	s.launch(cmd)
	s.answers()
	if _, err := s.pushTicket(s.client); err != nil {
		t.Fatal(err)
	}
	canaries := []string{faultPlatformSecret, faultTemplateSecret, faultSigns, faultAESKey}
	for _, a := range s.accounts {
		canaries = append(canaries, a.Secret)
	}
	for _, name := range s.tokens() {
		canaries = append(canaries, s.good(s.client, name))
	}

	look := func(pid int) map[string]string {
		out, err := asNobody(filepath.Join(programs, "stranger"), "look", strconv.Itoa(pid)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		seen := map[string]string{}
		for line := range strings.Lines(string(out)) {
			way, result, _ := strings.Cut(strings.TrimSpace(line), " ")
			seen[way] = result
		}
		return seen
	}
	sleeper := asNobody("/bin/sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	if seen := look(sleeper.Process.Pid); seen["environ"] != "open" {
		t.Fatalf("an ordinary process cannot be inspected either: %v", seen)
	}
	pid := s.daemon.Process.Pid
	seen := look(pid)
	for way, result := range seen {
		if result == "open" {
			t.Errorf("%s of the daemon is open to others of its user", way)
		}
	}
	if len(seen) != 8 {
		t.Errorf("results: got %v", seen)
	}

	proc := "/proc/" + strconv.Itoa(pid) + "/"
	for _, name := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(proc + name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "cmdline" && len(b) == 0 {
			t.Error("no command line to search")
		}
		shows(t, "its "+name, string(b), canaries)
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && !slices.Equal(f[4:6], []string{"0", "0"}) {
			t.Errorf("core dumps: %s", line)
		}
	}

	if err := filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", filepath.Base(path), info.Mode())
		}
		return err
	}); err != nil {
		t.Error(err)
	}

	s.signal(syscall.SIGABRT)
	s.ended()
	st := s.daemon.ProcessState.Sys().(syscall.WaitStatus)
	if st.CoreDump() {
		t.Error("the daemon has left a core")
	}
	log := s.log()
	if !strings.Contains(log, "SIGABRT: abort") {
		t.Errorf("no stacks were written: %v\n%s", s.daemon.ProcessState, log)
	}
	shows(t, "the log with its stacks", log, canaries)
	t.Logf("%d ways to inspect the process are closed; no core on SIGABRT", len(seen))
}

// TestStateDirectoryOpenToOthers holds that a state directory that others can read is refused and
// unchanged.
func TestStateDirectoryOpenToOthers(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	s.ready()
	values := map[string]string{}
	for _, name := range s.tokens() {
		values[name] = s.good(s.client, name)
	}
	s.kill()
	state := filepath.Join(s.dir, "state")
	if err := os.Chmod(state, 0o750); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tokend", "serve", "--config", s.file()).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("chmod 0700")) {
		t.Errorf("the daemon served, or gave no advice: %v: %s", err, out)
	}
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	s.spawn()
	s.answers()
	for name, v := range values {
		if s.good(s.client, name) != v {
			t.Errorf("%s: another value than before", name)
		}
	}
}
