package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/daemon/access"

	"golang.org/x/sys/unix"
)

// TestLoopSlows checks that a user beyond its rate is slowed to its rate, all its connections
// alike, and gets no errors. Other users are not slowed.
func TestLoopSlows(t *testing.T) { overBoth(t, tryLoopSlows) }

func tryLoopSlows(t *testing.T, d driver) {
	p := &turning{}
	var log syncBuffer
	path, _, _ := d.startSocket(t, Config{Limits: Limits{UserRate: 1000}, peer: p.of, Logger: testLogger(&log)})
	p.next.Store(alice)
	first, second := dialSocket(t, path), dialSocket(t, path)
	first.want(first.ask("PING"), "OK PONG")
	second.want(second.ask("PING"), "OK PONG")
	p.next.Store(bob)
	other := dialSocket(t, path)
	const n = 800
	begin := time.Now()
	for _, c := range []*client{first, second} {
		c.send(strings.Repeat("PING\n", n))
	}
	for range 100 {
		other.want(other.ask("PING"), "OK PONG")
	}
	for range n {
		first.want(first.line(), "OK PONG")
		second.want(second.line(), "OK PONG")
	}
	// A second's worth at once, the rest at 1000 a second, but for what the rations make of it.
	if took, least := time.Since(begin), (2*n-1000-2*maxQuantum)*time.Millisecond; took < least {
		t.Errorf("%d requests at 1000 a second in %s, want at least %s", 2*n, took, least)
	}
	if n := strings.Count(log.String(), "are slowed"); n != 1 {
		t.Errorf("%d lines in the log about it, want 1:\n%s", n, log.String())
	}
}

// What a paused connection has sent and the server has read is answered at a stop, and at once.
func TestLoopStopEndsAPause(t *testing.T) { overBoth(t, tryLoopStopEndsAPause) }

func tryLoopStopEndsAPause(t *testing.T, d driver) {
	path, s, stop, done := d.serveUntilStop(t, Config{Engine: newFakeEngine(), peer: as(alice), Limits: Limits{UserRate: 1}, gracePeriod: time.Minute})
	const n = 3 * maxQuantum
	var all []*client
	for i := range int64(3) { // for the first the log is written to, which is no matter of the loop's
		c := dialSocket(t, path)
		if _, err := io.WriteString(c.Conn, strings.Repeat("PING\n", n)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is paused", func() bool { return s.users.get(alice).stats.slowed.Load() > i })
		all = append(all, c)
	}
	begin := time.Now()
	stop()
	for i, c := range all {
		if got := strings.Count(c.rest(), "OK PONG\n"); got != n {
			t.Errorf("connection %d: %d answers, want %d", i, got, n)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second { // maxQuantum seconds otherwise
		t.Errorf("a stop takes %s", took)
	}
}

// TestStopCutsLaterPause checks that a connection that has been silent does not delay a stop by a
// first request for which its user has no allowance left.
func TestStopCutsLaterPause(t *testing.T) { overBoth(t, tryStopCutsLaterPause) }

func tryStopCutsLaterPause(t *testing.T, d driver) {
	const n = 60 // seconds, without the cut
	path, s, stop, done := d.serveUntilStop(t, Config{Engine: newFakeEngine(), peer: as(alice), Limits: Limits{UserRate: 1},
		silentGrace: 5 * time.Second, gracePeriod: time.Minute})
	busy := dialSocket(t, path) // its pause is logged
	busy.send(strings.Repeat("PING\n", 10))
	eventually(t, "it is paused", func() bool { return s.users.get(alice).stats.slowed.Load() > 0 })
	silent := dialSocket(t, path)
	eventually(t, "it is accepted", func() bool { return s.users.get(alice).stats.connections.Load() == 2 })
	begin := time.Now()
	stop()
	busy.rest()
	silent.send(strings.Repeat("PING\n", n))
	if got := strings.Count(silent.rest(), "OK PONG\n"); got != n {
		t.Errorf("%d answers, want %d", got, n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a stop takes %s", took)
	}
}

// TestLoopDoesNotSpin checks that events of a paused connection, of a lent idle one, and of a peer
// that has closed cost no processor time.
func TestLoopDoesNotSpin(t *testing.T) {
	p := &turning{} // root, which is not slowed, at first
	path, s, engine := byLoop.startSocket(t, Config{Limits: Limits{UserRate: 4 * maxQuantum}, peer: p.of, waitTimeout: time.Minute})
	cpu := func() time.Duration {
		var all unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &all); err != nil {
			t.Fatal(err)
		}
		return time.Duration(all.Utime.Nano() + all.Stime.Nano())
	}
	waits := dialSocket(t, path)
	waits.send("GET " + cold + "\n")
	eventually(t, "it waits", func() bool { _, now := engine.waiters(); return now == 1 })
	half := dialSocket(t, path)
	half.send("GET " + cold + "\n")
	eventually(t, "it waits", func() bool { _, now := engine.waiters(); return now == 2 })
	if err := half.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.next.Store(alice)
	var paused []*client
	for range 4 {
		c := dialSocket(t, path)
		c.want(c.ask("PING"), "OK PONG")
		paused = append(paused, c)
	}
	for _, c := range paused { // each is paused ten times, for a second
		c.send(strings.Repeat("PING\n", 10*maxQuantum))
	}
	eventually(t, "they are slowed", func() bool { return s.users.get(alice).stats.slowed.Load() >= 4 })
	for _, c := range paused {
		_, _ = io.WriteString(c.Conn, "PING\n")
	}
	_ = paused[1].Conn.(*net.UnixConn).CloseWrite()
	paused[2].Close()
	waits.send(strings.Repeat("PING\n", 2000)) // more than is kept of it
	spent := cpu()
	time.Sleep(time.Second)
	if spent = cpu() - spent; spent > 100*time.Millisecond { // a busy machine gives a loop that spins less than all
		t.Errorf("%s of processor time in a second in which nobody is served", spent)
	}
}

// TestLoopLineTimeout checks that an incomplete line ends its connection, however many parts
// arrive. Idle connections stay, and so do those that complete each line.
func TestLoopLineTimeout(t *testing.T) {
	t.Parallel()
	overBoth(t, tryLoopLineTimeout)
}

func tryLoopLineTimeout(t *testing.T, d driver) {
	const timeout = time.Second
	path, _, _ := d.startSocket(t, Config{lineTimeout: timeout})
	idle, half, steady := dialSocket(t, path), dialSocket(t, path), dialSocket(t, path)
	for _, c := range []*client{idle, half, steady} {
		c.want(c.ask("PING"), "OK PONG")
	}
	say := func(c *client, text string) error { _, err := io.WriteString(c.Conn, text); return err }
	_ = say(steady, "PI")
	begin := time.Now()
	var took time.Duration // until half is closed
	for time.Since(begin) < 2*timeout || took == 0 && time.Since(begin) < 20*timeout {
		if err := say(half, "P"); err != nil && took == 0 {
			took = time.Since(begin)
		}
		_ = say(steady, "NG\nPI")
		steady.want(steady.line(), "OK PONG")
		time.Sleep(timeout / 50)
	}
	if took == 0 || took < timeout {
		t.Errorf("closed after %s, want %s", took, timeout)
	}
	half.want(half.rest(), "")
	idle.want(idle.ask("PING"), "OK PONG")

	long := dialSocket(t, path) // a line that outgrows the buffer
	begin = time.Now()
	_, _ = io.WriteString(long.Conn, "GET "+strings.Repeat("x", 3*smallBuffer))
	long.want(long.rest(), "")
	if took := time.Since(begin); took < timeout {
		t.Errorf("a long line: closed after %s, want %s", took, timeout)
	}
}

func TestLoopIdleTimeout(t *testing.T) {
	t.Parallel()
	overBoth(t, tryLoopIdleTimeout)
}

func tryLoopIdleTimeout(t *testing.T, d driver) {
	const timeout = 2 * time.Second
	path, _, engine := d.startSocket(t, Config{Limits: Limits{IdleTimeout: timeout}})
	idle, waits := dialSocket(t, path), dialSocket(t, path)
	waits.send("GET " + cold + "\n")
	begin := time.Now()
	for range 4 {
		idle.want(idle.ask("PING"), "OK PONG")
		time.Sleep(timeout / 4)
	}
	last := time.Now()
	idle.want(idle.rest(), "")
	if took := time.Since(begin); took < timeout+timeout/2 || time.Since(last) > 20*timeout {
		t.Errorf("closed after %s", took)
	}
	engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
	if got := waits.line(); !strings.HasSuffix(got, " tok-02") { // it was not idle, it waited
		t.Errorf("got %q", got)
	}
	waits.want(waits.rest(), "")
}

// A fault ends the connection that meets it, at once or in a job, and gives back all that it held.
func TestLoopSurvivesFaults(t *testing.T) { overBoth(t, tryLoopSurvivesFaults) }

func tryLoopSurvivesFaults(t *testing.T, d driver) {
	var log syncBuffer
	path, s, engine := d.startSocket(t, Config{Logger: testLogger(&log), peer: as(alice)})
	engine.mu.Lock()
	engine.panics = heldToken
	engine.mu.Unlock()
	other := dialSocket(t, path)
	for range 3 {
		bad := dialSocket(t, path)
		bad.send("PING\nGET " + heldToken + "\nPING\n")
		bad.rest()
		other.want(other.ask("PING"), "OK PONG")
		late := dialSocket(t, path)
		late.want(late.ask("PING"), "OK PONG") // not the first that it says
		late.send("GET " + heldToken + "\n")
		late.want(late.rest(), "")
		other.want(other.ask("PING"), "OK PONG")
	}
	eventually(t, "one connection is left", func() bool { return s.open.Load() == 1 })
	if n := strings.Count(log.String(), "stack="); n != 6 || strings.Contains(log.String(), "canary") {
		t.Errorf("%d stacks in the log, want 6, and nothing of what was thrown:\n%s", n, log.String())
	}
}

// Groups are asked for when there are rules for them, be it long after the peer has connected; what
// the session knows then is what the kernel says.
func TestGroupsAreAskedForLate(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	defer unix.Close(fds[0])
	m := new(member)
	m.wire.Open(nil, fds[0])
	peer, err := (&loop{server: New(Config{Engine: newFakeEngine()})}).peerOf(&m.wire)
	if err != nil {
		t.Fatal(err)
	}
	s := sessionOf(New(Config{Engine: newFakeEngine()}), peer)
	s.late = m
	s.renewRights()
	s.server.SetRules([]access.Rule{{UIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"GET"}}})
	if s.renewRights(); s.late == nil || s.peer.Groups != nil {
		t.Error("groups are asked for when no rule is for groups")
	}
	s.server.SetRules([]access.Rule{{GIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"GET"}}})
	s.renewRights()
	got, want := slices.Sorted(slices.Values(s.peer.Groups)), []uint32(nil)
	all, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		want = append(want, uint32(g))
	}
	slices.Sort(want)
	if s.late != nil || !slices.Equal(got, want) {
		t.Errorf("groups\n got %v\nwant %v", got, want)
	}
}

// Against the simplest thing that could be right.
func TestAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var as alarms
	all := make([]alarm, 50)
	due := map[*alarm]time.Duration{}
	for now := time.Duration(1); now < 20_000; now += time.Duration(random.IntN(3)) {
		a := &all[random.IntN(len(all))]
		switch random.IntN(4) {
		case 0, 1:
			due[a] = now + 1 + time.Duration(random.IntN(200))
			as.set(a, due[a])
		case 2:
			as.drop(a)
			delete(due, a)
		case 3: // taken back, without looking for it
			a.due = 0
			delete(due, a)
		}
		first, ok := as.first()
		for _, at := range due {
			if !ok || at < first {
				t.Fatalf("one is due at %d, and the first at %d, %t", at, first, ok)
			}
		}
		for a := as.next(now); a != nil; a = as.next(now) {
			if at, ok := due[a]; !ok || at > now {
				t.Fatalf("at %d one rings that is due at %d, %t", now, at, ok)
			}
			delete(due, a)
		}
		for _, at := range due {
			if at <= now {
				t.Fatalf("an alarm that is due at %d has not been returned at %d", at, now)
			}
		}
	}
}

// What a fault of the loop's own lists would be: a member that has ended and is used again must
// have nothing of the other.
func TestMembersAreUsedAgain(t *testing.T) {
	path, s, _ := byLoop.startSocket(t, Config{peer: eachAnother()})
	buf := make([]byte, 256)
	for i := range 200 {
		c := dialRaw(t, path)
		switch i % 4 {
		case 0:
			if got := c.ask(t, []byte("GET "+token+"\n"), buf); !strings.HasSuffix(got, " tok-01\n") {
				t.Fatalf("got %q", got)
			}
		case 1:
			_, _ = unix.Write(int(c), []byte("GET offici"))
		case 2:
			if got := c.ask(t, []byte("al_account/x\n"), buf); !strings.HasPrefix(got, "ERR BAD_REQUEST - ") {
				t.Fatalf("got %q: what another connection had begun?", got)
			}
		case 3:
			if got := c.ask(t, bytes.Repeat([]byte("PING\n"), 3), buf); got != "OK PONG\nOK PONG\nOK PONG\n" {
				t.Fatalf("got %q", got)
			}
		}
		_ = unix.Shutdown(int(c), unix.SHUT_RDWR)
	}
	eventually(t, "all are closed", func() bool { return s.open.Load() == 0 })
}
