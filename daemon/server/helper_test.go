package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/daemon/server/socket"

	"golang.org/x/sys/unix"
)

// The test binary starts itself for peers that must be processes: peers of other users, stopped
// processes, a daemon without descriptors.

const roleEnv = "TOKEND_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		f := strings.Split(role, "\x1f")
		if err := playRole(f[0], f[1:]); err != nil {
			fmt.Printf("%v, as %d\n", err, os.Getuid())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// playRole plays one role.
func playRole(role string, args []string) error {
	switch role {
	case "ask":
		return playAsk(args[0], args[1])
	case "hold":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return playHold(args[0], args[1], n)
	case "flood":
		return playFlood(args[0])
	case "talk":
		return playTalk(args[0])
	case "serve":
		return playServe(args[0], driver(args[1]))
	case "load":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return playLoad(args[0], n, args[2])
	case "time":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return playTime(args[0], n)
	}
	return fmt.Errorf("no role %q", role)
}

// helper is a process that plays a role.
type helper struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startAs starts this test's binary as somebody else. It ends when the test does, if not before.
func startAs(t testing.TB, who *syscall.Credential, path, role string, args ...string) *helper {
	t.Helper()
	// Another user may not be able to reach the binary where it was built.
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(filepath.Dir(path), "helper")
	if _, err := os.Stat(copied); err != nil {
		b, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(copied)
	cmd.Dir = filepath.Dir(path)
	// The race detector sleeps for a second at the end of a process unless told otherwise.
	cmd.Env = []string{roleEnv + "=" + strings.Join(append([]string{role, path}, args...), "\x1f"), "GORACE=atexit_sleep_ms=0"}
	if who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe() // what coverage has to say goes to standard error
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &helper{t, cmd, in, bufio.NewReader(out)}
	t.Cleanup(func() { h.end() })
	return h
}

// line returns the next line that the helper prints.
func (h *helper) line() string {
	h.t.Helper()
	line, err := h.out.ReadString('\n')
	if err != nil && line == "" {
		h.t.Fatalf("nothing more from %s: %v", h.cmd.Path, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// tell makes the helper continue.
func (h *helper) tell() {
	h.t.Helper()
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.t.Fatal(err)
	}
}

// end ends the helper. It may be called more than once.
func (h *helper) end() {
	_ = h.in.Close()
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// askAs asks one thing as somebody else, and returns the first line of the answer.
func askAs(t testing.TB, path, request string, who *syscall.Credential) string {
	t.Helper()
	h := startAs(t, who, path, "ask", request)
	defer h.end()
	return h.line()
}

// account is uid with a group of its own.
func account(uid uint32, groups ...uint32) *syscall.Credential {
	return &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}
}

// needRoot skips a test that has to become others.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to become others")
	}
}

// needDescriptors skips a test that opens n.
func needDescriptors(t testing.TB, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < n {
		t.Skipf("%d descriptors allowed, %d needed", limit.Cur, n)
	}
}

// await waits until the parent says something, or is gone.
func await() { _, _ = os.Stdin.Read(make([]byte, 1)) }

// playAsk prints the answer to request.
func playAsk(path, request string) error {
	nc, err := dialPatiently(path)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	_, _ = io.WriteString(nc, request+"\nQUIT\n") // a server that is full does not read
	reply, err := io.ReadAll(nc)
	if len(reply) == 0 {
		return fmt.Errorf("no answer: %v", err)
	}
	_, err = os.Stdout.Write(reply)
	return err
}

// dialPatiently connects however full the queue is.
func dialPatiently(path string) (net.Conn, error) {
	for {
		nc, err := net.Dial("unix", path)
		if err == nil || !isAgain(err) {
			return nc, err
		}
		time.Sleep(time.Millisecond)
	}
}

func isAgain(err error) bool {
	e, ok := err.(*net.OpError)
	return ok && strings.Contains(e.Err.Error(), syscall.EAGAIN.Error())
}

// playHold opens n connections and makes each as expensive as possible. It prints how many of them
// the server has not closed, and keeps them until tell is called.
func playHold(path, how string, n int) error {
	cost := map[string]string{
		"idle": "",
		"long": "GET " + strings.Repeat("x", 60_000),    // a line that does not end
		"deaf": strings.Repeat("GET "+token+"\n", 2000), // more answers than anybody buffers
		"wait": "GET " + cold + "\n",
	}[how]
	var held []net.Conn
	var writers sync.WaitGroup
	for range n {
		nc, err := dialPatiently(path)
		if err != nil {
			return err
		}
		held = append(held, nc)
		_ = nc.SetWriteDeadline(time.Now().Add(2 * time.Second))
		writers.Go(func() { _, _ = io.WriteString(nc, cost) })
	}
	writers.Wait()
	open := 0
	for last := -1; open != last; {
		last, open = open, 0
		time.Sleep(150 * time.Millisecond) // for whatever will be cut at once
		for _, nc := range held {
			if !hungUp(nc) {
				open++
			}
		}
	}
	fmt.Println(open)
	await()
	return nil
}

// pollRDHUP says that the other end has shut down its sending side. Only Linux has it.
const pollRDHUP = 0x2000

// hungUp reports whether the other end of nc has closed it, or will send nothing more. It reads
// nothing.
func hungUp(nc net.Conn) (hup bool) {
	raw, err := nc.(*net.UnixConn).SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: pollRDHUP}}
		n, err := unix.Poll(fds, 0)
		hup = err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|pollRDHUP) != 0
	})
	return hup || err != nil
}

// playFlood connects and hangs up as fast as it can until it is ended.
func playFlood(path string) error {
	fmt.Println("begun")
	for {
		if nc, err := net.Dial("unix", path); err == nil {
			nc.Close()
		}
	}
}

// playTalk asks on and on, and reads the answers, for as long as the server lets it.
func playTalk(path string) error {
	nc, err := dialPatiently(path)
	if err != nil {
		return err
	}
	go func() { // as long as the process lives
		batch := []byte(strings.Repeat("GET "+token+"\n", 1000))
		for err := error(nil); err == nil; {
			_, err = nc.Write(batch)
		}
	}()
	buf := make([]byte, 64<<10)
	for said := false; ; said = true {
		if _, err := nc.Read(buf); err != nil {
			fmt.Println("closed")
			return nil
		}
		if !said {
			fmt.Println("begun")
		}
	}
}

// playLoad repeats request on n connections, each as fast as it is answered, until it is ended.
func playLoad(path string, n int, request string) error {
	var clients sync.WaitGroup
	for range n {
		nc, err := dialPatiently(path)
		if err != nil {
			return err
		}
		clients.Go(func() {
			r := bufio.NewReader(nc)
			for {
				if _, err := io.WriteString(nc, request+"\n"); err != nil {
					return
				}
				if _, err := r.ReadSlice('\n'); err != nil {
					return
				}
			}
		})
	}
	fmt.Println("begun")
	clients.Wait()
	return nil
}

// playTime reads one value n times on one connection and prints the median and the 99th percentile,
// in nanoseconds.
func playTime(path string, n int) error {
	nc, err := dialPatiently(path)
	if err != nil {
		return err
	}
	defer nc.Close()
	var all []time.Duration
	for reply := make([]byte, 1<<10); len(all) < n; {
		begin := time.Now()
		if _, err := io.WriteString(nc, "GET "+token+"\n"); err != nil {
			return err
		}
		if k, err := nc.Read(reply); err != nil || !bytes.HasPrefix(reply[:k], []byte("OK ")) {
			return fmt.Errorf("got %q and %v", reply[:k], err)
		}
		all = append(all, time.Since(begin))
		time.Sleep(time.Millisecond / 2)
	}
	slices.Sort(all)
	fmt.Println(int64(all[n/2]), int64(all[n*99/100]))
	return nil
}

// playServe is a daemon that uses up its descriptors, and closes them when tell is called.
func playServe(path string, d driver) error {
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		return err
	}
	s := New(Config{Engine: newFakeEngine(), Sign: fakeSign, noLoop: d == byGoroutines})
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), ln) }()
	nc, err := net.Dial("unix", path) // so that it runs before there is nothing left
	if err != nil {
		return err
	}
	if _, err := io.WriteString(nc, "PING\n"); err != nil {
		return err
	}
	if _, err := nc.Read(make([]byte, 64)); err != nil {
		return err
	}
	nc.Close()
	for s.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	// The descriptor of a connection that no longer counts may still be closed.
	var burnt []*os.File
	for tries := 0; tries < 50; {
		f, err := os.Open(os.DevNull)
		if err != nil {
			tries++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		burnt = append(burnt, f)
		tries = 0
	}
	fmt.Println("exhausted")
	await()
	for _, f := range burnt {
		f.Close()
	}
	fmt.Println("restored")
	return <-done
}
