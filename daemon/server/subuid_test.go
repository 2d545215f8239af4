package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"tokend/daemon/access"
	"tokend/protocol"
)

func TestParseSubuids(t *testing.T) {
	lookup := func(name string) (uint32, bool) {
		uid, ok := map[string]uint32{"alice": 1000, "bob": 1001}[name]
		return uid, ok
	}
	for _, tt := range []struct {
		name, text string
		want       []subordinate
		malformed  []int
	}{
		{"nothing", "", nil, nil},
		{"two users", "alice:100000:65536\nbob:165536:65536\n", []subordinate{{100000, 165535, 1000}, {165536, 231071, 1001}}, nil},
		{"a user by number", "1002:100000:10\n", []subordinate{{100000, 100009, 1002}}, nil},
		{"two ranges, not sorted, no end of the line", "alice:300000:1\nalice:200000:1", []subordinate{{200000, 200000, 1000}, {300000, 300000, 1000}}, nil},
		{"a user that does not exist", "nobody-such:100000:10\n", []subordinate{{100000, 100009, 100000}}, nil},
		{"comments, empty lines, CR LF", "# ranges\r\n\r\nalice:100000:10\r\n", []subordinate{{100000, 100009, 1000}}, nil},
		{"ranges that overlap", "bob:100005:10\nalice:100000:10\nbob:100002:3\n", []subordinate{{100000, 100009, 1000}, {100010, 100014, 1001}}, nil},
		{"up to the last uid", "alice:4294967290:6\n", []subordinate{{4294967290, 4294967295, 1000}}, nil},
		{"malformed lines", strings.Join([]string{
			"alice", "alice:1", "alice:1:2:3", ":100000:10", "alice:x:10", "alice:100000:x", "alice:-1:10", "alice:100000:0",
			"alice:4294967290:7", "alice:4294967296:1", "alice:100000:18446744073709551615", "alice:100000:10", "\x00\xff",
		}, "\n"), []subordinate{{100000, 100009, 1000}}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13}},
	} {
		got, malformed := parseSubuids(tt.text, lookup)
		if !slices.Equal(got, tt.want) || !slices.Equal(malformed, tt.malformed) {
			t.Errorf("%s\n got %v, malformed %v\nwant %v, malformed %v", tt.name, got, malformed, tt.want, tt.malformed)
		}
	}
}

// The uids of a range are their owner, in every limit. An operator is nobody's subordinate, and no
// operator's range has an operator's freedom.
func TestSubordinatesShareLimits(t *testing.T) {
	us := &users{self: 990}
	us.setSubordinates([]subordinate{{0, 99, 1000}, {985, 999, 1000}, {100_000, 165_535, 1000}, {200_000, 200_009, 0}, {300_000, 300_009, 990}})
	for _, tt := range []struct {
		name string
		uids []uint32 // count as one
	}{
		{"the owner's", []uint32{1000, 33, 100_000, 165_535, 999}},
		{"another's", []uint32{1001}},
		{"behind the range", []uint32{165_536}},
		{"before the range", []uint32{99_999}},
		{"root", []uint32{0}},
		{"the daemon's own user", []uint32{990}},
		{"root's range", []uint32{200_000, 200_009}},
		{"the daemon's own user's range", []uint32{300_000, 300_009}},
	} {
		first := us.get(tt.uids[0])
		for _, uid := range tt.uids[1:] {
			if us.get(uid) != first {
				t.Errorf("%s: uid %d is another user than %d", tt.name, uid, tt.uids[0])
			}
		}
		if want := tt.uids[0] == 0 || tt.uids[0] == 990; first.operator != want {
			t.Errorf("%s: an operator: %t, want %t", tt.name, first.operator, want)
		}
	}
	if us.get(1000) == us.get(1001) || us.get(1001) == us.get(165_536) {
		t.Error("users that have nothing in common are one")
	}
}

// A user who becomes all the uids of a range has no more connections than by its own.
func TestSubuidsFillNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{MaxConns: 16}, peer: p.of, Subuids: subuids(t, "1000:100000:65536\n")})
		for i := range uint32(100) {
			c := r.dialAs(t, p, 100_000+i)
			c.send("PING\nPI") // and is not idle
			if line, err := c.r.ReadString('\n'); err != nil || (line == crowded) != (i >= 8) {
				t.Fatalf("connection %d: got %q and %v", i, line, err)
			}
		}
		for range 4 {
			c := r.dialAs(t, p, bob)
			c.want(c.ask("PING"), "OK PONG")
		}
	})
}

// TestSubuidsHaveNoRights checks that rights depend on the peer's own uid, not on its user's.
func TestSubuidsHaveNoRights(t *testing.T) {
	const owner, subordinate = 1000, 100_000
	rules := []access.Rule{{UIDs: []uint32{owner}, Names: []string{"*"}, Verbs: []string{"GET"}}}
	for _, uids := range [][]uint32{{owner, subordinate}, {subordinate, owner}} {
		srv := New(Config{Rules: rules, Subuids: subuids(t, "1000:100000:65536\n")})
		for _, uid := range uids {
			s := sessionOf(srv, access.Peer{UID: uid})
			s.renewRights()
			granted, _ := s.rights.May(protocol.VerbGet, []byte(token))
			if want := uid == owner; granted != want {
				t.Errorf("%v: uid %d may GET: %t, want %t", uids, uid, granted, want)
			}
		}
		if srv.users.get(owner) != srv.users.get(subordinate) {
			t.Error("they are not one user")
		}
	}
}

// The file may be missing or malformed, at the start and later, and what is wrong with it is in the
// log.
func TestSubuidsAreReadAgain(t *testing.T) {
	var log syncBuffer
	path := subuids(t, "1000:100000:10\n")
	srv := New(Config{Subuids: path, Logger: testLogger(&log)})
	one := func() bool { return srv.users.get(1000) == srv.users.get(100_000) }
	if !one() || log.String() != "" {
		t.Errorf("at the start: one user: %t, want true; log: %s", one(), log.String())
	}
	for _, step := range []struct {
		text, log string
		one       bool
	}{
		{"1000:200000:10\n", "", false},
		{"1000:100000:10\nmalformed\n", "[WARN]  ignoring malformed lines of subordinate uids", true},
		{"", "[DEBUG] no ranges of subordinate uids known", false},
	} {
		if step.text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		srv.ReadSubuids()
		if one() != step.one || !strings.Contains(log.String(), step.log) {
			t.Errorf("%q: one user: %t, want %t; log, want %q:\n%s", step.text, one(), step.one, step.log, log.String())
		}
	}
}

// subuids returns a file of subordinate uids.
func subuids(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "subuid")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
