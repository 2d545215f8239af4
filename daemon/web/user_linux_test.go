package web

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain can run this program as another user who requests a page.
func TestMain(m *testing.M) {
	target := os.Getenv("WEB_TEST_GET")
	if target == "" {
		os.Exit(m.Run())
	}
	resp, err := http.Get(target)
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(resp.Status)
}

// TestUserFromKernel: the user of a connection comes from the kernel, once per connection.
func TestUserFromKernel(t *testing.T) {
	self := fmt.Sprint(os.Geteuid())
	var asked []string
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage), Sees: func(uid uint32) bool {
		asked = append(asked, fmt.Sprint(uid)) // one request at a time
		return len(asked) < 3
	}}, new(fakeInbox))
	nc := dial(t, serveTCP(t, s))
	r := bufio.NewReader(nc)
	for i, want := range []int{200, 200, 403} {
		if _, err := io.WriteString(nc, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		status, _, err := answer(r)
		if err != nil || status != want {
			t.Errorf("request %d: got %d, %v, want %d", i, status, err, want)
		}
	}
	if got, want := strings.Join(asked, " "), strings.Join([]string{self, self, self}, " "); got != want {
		t.Errorf("asked of: got %s, want %s", got, want)
	}
}

// TestPageDeniedToOtherUser: a user of this host sees a page only if allowed, over IPv4 and IPv6.
func TestPageDeniedToOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change users")
	}
	const may, mayNot = 41001, 41002
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage), Sees: func(uid uint32) bool { return uid == may }}, new(fakeInbox))
	addr := serveTCP(t, s)
	// Not t.TempDir, which other users cannot enter.
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "get")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]string{may: "200 OK", mayNot: "403 Forbidden"} {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = []string{"WEB_TEST_GET=http://" + addr + "/metrics"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("uid %d: got %q, %v, want %q", uid, out, err, want)
		}
	}
}

// TestSearchUser parses a kernel table of a little-endian host.
func TestSearchUser(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2207 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1 0000000000000000 100 0 0 10 0
   1: 0100007F:9C40 0100007F:2207 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:2207 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   999        0 3 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:9C41 0100007F:2207 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   4: 0100007F:9C42 0100007F:2207 05 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
   5: 0200007F:9C43 0100007F:2207 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0000000000000000 20 4 30 10 -1
   6: 0100007F:9C44 0100007F:2207 01
   7: 00000000000000000000000001000000:9C45 00000000000000000000000001000000:2207 01 00000000:00000000 00:00000000 00000000  1001        0 5 1 0000000000000000 20 4 30 10 -1
   8: 0000000000000000FFFF00000100007F:9C46 0000000000000000FFFF00000100007F:2207 01 00000000:00000000 00:00000000 00000000  1002        0 6 1 0000000000000000 20 4 30 10 -1
`
	if !littleEndian() {
		t.Skip("the table is from a little-endian host")
	}
	for _, test := range []struct {
		name, own string
		other     string
		uid       uint32
		ok        bool
	}{
		{"the client's end", "127.0.0.1:40000", "127.0.0.1:8711", 1000, true},
		{"the server's end", "127.0.0.1:8711", "127.0.0.1:40000", 999, true},
		{"a closed connection", "127.0.0.1:40001", "127.0.0.1:8711", 0, false},
		{"a closing connection", "127.0.0.1:40002", "127.0.0.1:8711", 0, false},
		{"another address", "127.0.0.1:40003", "127.0.0.1:8711", 0, false},
		{"another port of the other end", "127.0.0.1:40000", "127.0.0.1:8712", 0, false},
		{"a truncated line", "127.0.0.1:40004", "127.0.0.1:8711", 0, false},
		{"IPv6", "[::1]:40005", "[::1]:8711", 1001, true},
		{"IPv4 in IPv6", "127.0.0.1:40006", "127.0.0.1:8711", 1002, true},
	} {
		uid, ok := searchUser(strings.NewReader(table), netip.MustParseAddrPort(test.own), netip.MustParseAddrPort(test.other))
		if uid != test.uid || ok != test.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", test.name, uid, ok, test.uid, test.ok)
		}
	}
}

func littleEndian() bool {
	a, _ := parseEnd("0100007F:0000")
	return a.Addr().IsLoopback()
}
