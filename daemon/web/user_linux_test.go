package web

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain can run this program as another user who requests a page.
func TestMain(m *testing.M) {
	target := os.Getenv("WEB_TEST_GET")
	if target == "" {
		os.Exit(m.Run())
	}
	client := new(http.Client)
	if path := os.Getenv("WEB_TEST_UNIX"); path != "" {
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}
	}
	resp, err := client.Get(target)
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

// TestPageDeniedToOtherUser: a user of this host sees a page only if allowed, over TCP and over a
// Unix socket.
func TestPageDeniedToOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change users")
	}
	const may, mayNot = 41001, 41002
	sees := func(uid uint32) bool { return uid == may }
	admits := func(nc net.Conn) (uid uint32, ok bool, err error) {
		raw, err := nc.(*net.UnixConn).SyscallConn()
		if err != nil {
			return 0, false, err
		}
		var peer *unix.Ucred
		e := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
		if err = errors.Join(err, e); err != nil {
			return 0, false, err
		}
		return peer.Uid, sees(peer.Uid), nil
	}
	cfg := Config{Pages: testPages(plainPage), Sees: sees, Admits: admits}
	s, _ := newTestServer(t, cfg, nil)
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
	path := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	s, _ = newTestServer(t, cfg, nil)
	serveOn(t, s, ln)
	for uid, want := range map[uint32]string{may: "200 OK", mayNot: "403 Forbidden"} {
		for _, over := range []string{"", path} {
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = []string{"WEB_TEST_GET=http://" + addr + "/metrics", "WEB_TEST_UNIX=" + over}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("uid %d over %q: got %q, %v, want %q", uid, over, out, err, want)
			}
		}
	}
}

// TestUserOf: the kernel reports the owner of an established connection over IPv4, IPv6 and IPv4 in
// IPv6, and of no other.
func TestUserOf(t *testing.T) {
	for _, test := range []struct{ listen, dial string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "127.0.0.1"}, {"[::]:0", "::1"},
	} {
		t.Run(test.listen+" from "+test.dial, func(t *testing.T) {
			ln, err := net.Listen("tcp", test.listen)
			if err != nil {
				t.Skip(err) // a host without IPv6
			}
			defer ln.Close()
			nc := dial(t, net.JoinHostPort(test.dial, fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)))
			peer, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			own, other := plain(nc.LocalAddr().(*net.TCPAddr).AddrPort()), plain(nc.RemoteAddr().(*net.TCPAddr).AddrPort())
			if uid, err := userOf(own, other); err != nil || uid != uint32(os.Geteuid()) {
				t.Errorf("got %d, %v, want this user", uid, err)
			}
			if uid, err := userOf(own, netip.AddrPortFrom(other.Addr(), 1)); err == nil {
				t.Errorf("of a connection that does not exist: got %d", uid)
			}
			listening := netip.AddrPortFrom(own.Addr(), 0)
			if uid, err := userOf(other, listening); err == nil {
				t.Errorf("of a listener: got %d", uid)
			}
			if err := nc.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if uid, err := userOf(own, other); err == nil {
				t.Errorf("of a half-closed connection: got %d", uid)
			}
			_ = nc.Close()
			if uid, err := userOf(own, other); err == nil {
				t.Errorf("of a closed connection: got %d", uid)
			}
		})
	}
}

// TestParseUser: an answer that is not about the connection, or is cut short, is an error.
func TestParseUser(t *testing.T) {
	own, other := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:8710")
	answer := func(kind uint16, state byte, own, other netip.AddrPort) []byte {
		b := binary.NativeEndian.AppendUint32(nil, diagAnswer)
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = append(b, make([]byte, 10)...)
		b = append(b, 2, state, 0, 0)
		b = append(appendSocket(b, own, other), make([]byte, 12+12)...)
		b = binary.NativeEndian.AppendUint32(b, 1000)
		return append(b, make([]byte, 4)...)
	}
	good := answer(sockDiagByFamily, established, own, other)
	if uid, err := parseUser(good, own, other); err != nil || uid != 1000 || len(good) != diagAnswer {
		t.Errorf("got %d, %v, want 1000", uid, err)
	}
	refused := binary.NativeEndian.AppendUint32(answer(unix.NLMSG_ERROR, 0, own, other)[:diagHeader], ^uint32(unix.ENOENT)+1)
	for name, b := range map[string][]byte{
		"another connection":    answer(sockDiagByFamily, established, other, own),
		"a closed connection":   answer(sockDiagByFamily, 6, own, other),
		"another kind":          answer(99, established, own, other),
		"the kernel's refusal":  refused,
		"an answer cut short":   good[:diagAnswer-1],
		"a header without data": good[:diagHeader],
		"nothing":               nil,
	} {
		if uid, err := parseUser(b, own, other); err == nil {
			t.Errorf("%s: got %d", name, uid)
		}
	}
}

// TestManyConnections: 60 clients that connect at once see the page, although the kernel's table
// has thousands of connections.
func TestManyConnections(t *testing.T) {
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage), Sees: func(uint32) bool { return true }}, nil)
	addr := serveTCP(t, s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var lines sync.WaitGroup
	for range 4 {
		lines.Go(func() {
			for range 1500 {
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = nc.Close() // a line of the table for a minute
				if nc, err = ln.Accept(); err == nil {
					_ = nc.Close()
				}
			}
		})
	}
	lines.Wait()
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get("http://" + addr + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("got %d, want 200", resp.StatusCode)
			}
		})
	}
	clients.Wait()
}
