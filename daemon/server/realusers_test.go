package server

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/server/socket"
)

// Real users, when the test runs as root: the test's own binary asks as each of them.
func TestSocketAccessByRealUsers(t *testing.T) { overBoth(t, trySocketAccessByRealUsers) }

func trySocketAccessByRealUsers(t *testing.T, d driver) {
	needRoot(t)
	many := make([]uint32, 100) // more groups than fit in the first call
	for i := range many {
		many[i] = 3000 + uint32(i)
	}
	path, _, _ := d.startSocket(t, Config{Rules: []access.Rule{
		{UIDs: []uint32{1201}, Names: []string{"official_account/*"}, Verbs: []string{"GET"}},
		{GIDs: []uint32{1300, 3099}, Names: []string{"work/*"}, Verbs: []string{"GET", "LIST"}},
	}})
	tests := []struct {
		name   string
		uid    uint32
		gid    uint32
		groups []uint32
		ask    string
		want   string
	}{
		{"by uid", 1201, 1201, nil, "GET " + token, "OK 7199 tok-01"},
		{"by uid, hidden", 1201, 1201, nil, "GET " + workToken, "ERR NOT_FOUND - no such credential"},
		{"by first group", 1202, 1300, nil, "GET " + workToken, "OK 599 tok-w1"},
		{"by supplementary group", 1202, 1202, []uint32{7, 1300}, "GET " + workToken, "OK 599 tok-w1"},
		{"by the last of many groups", 1202, 1202, many, "GET " + workToken, "OK 599 tok-w1"},
		{"by group, denied", 1202, 1202, []uint32{1300}, "REFRESH " + workToken, "ERR DENIED - REFRESH is not granted to this user"},
		{"in a list", 1202, 1202, []uint32{1300}, "LIST", "OK 2"},
		{"a stranger", 1203, 1203, []uint32{8}, "GET " + token, "ERR NOT_FOUND - no such credential"},
		{"root", 0, 0, nil, "GET " + workToken, "OK 599 tok-w1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := askAs(t, path, tt.ask, &syscall.Credential{Uid: tt.uid, Gid: tt.gid, Groups: tt.groups})
			f, w := strings.Fields(got), strings.Fields(tt.want)
			if f[0] == "OK" && len(f) == 3 {
				f[1], w[1] = "ttl", "ttl"
			}
			if !slices.Equal(f, w) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// The socket's mode is the first gate: who has no right to open it never reaches the server.
func TestSocketModeKeepsOthersOut(t *testing.T) {
	needRoot(t)
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 1200, 1300); err != nil {
		t.Fatal(err)
	}
	s := serveUntilEnd(t, Config{Engine: newFakeEngine(), Sign: fakeSign}, ln)
	for _, tt := range []struct {
		name string
		who  *syscall.Credential
		in   bool
	}{
		{"the owner", account(1200), true},
		{"the group", &syscall.Credential{Uid: 1201, Gid: 1300}, true},
		{"the group, supplementary", account(1202, 7, 1300), true},
		{"root", account(0), true},
		{"a stranger", account(1203, 7), false},
		{"nobody", account(65534), false},
	} {
		got := askAs(t, path, "PING", tt.who)
		if in := got == "OK PONG"; in != tt.in || !in && !strings.Contains(got, "permission denied") {
			t.Errorf("%s\n got %q\nwant it let in: %v", tt.name, got, tt.in)
		}
	}
	if n := s.users.total().connections.Load(); n != 4 {
		t.Errorf("%d connections have reached the server, want 4", n)
	}
}

// A user of whom no rule says anything, and one who may see other names, are answered the same for
// what exists as for what does not, by every verb; and nothing tells them of it by another way.
func TestSocketStrangersLearnNothing(t *testing.T) { overBoth(t, trySocketStrangersLearnNothing) }

func trySocketStrangersLearnNothing(t *testing.T, d driver) {
	needRoot(t)
	path, _, engine := d.startSocket(t, Config{Rules: []access.Rule{
		{UIDs: []uint32{1201}, Names: []string{"official_account/*"},
			Verbs: []string{"GET", "REJECT", "REFRESH", "PUT", "SIGN", "LIST", "STATUS", "HISTORY", "STATS", "WATCH", "EXCHANGE", "PUSH", "IMPORT"}},
	}})
	if err := engine.Put(t.Context(), aGrant, "v"); err != nil {
		t.Fatal(err)
	}
	const hiddenNames = workToken + " " + aGrant + " " + pushed + " " + platform + " open_platform/"
	const unknownNames = "work/ww0123/1000009/access_token open_platform/wxcomponent/wxother/refresh_token " +
		"open_platform/wxother/component_verify_ticket open_platform/wxother open_/"
	hidden, unknown := strings.Fields(hiddenNames), strings.Fields(unknownNames)
	for _, uid := range []uint32{1201, 1203} {
		var ofHidden, ofUnknown strings.Builder
		for _, form := range []string{
			"GET %s", "REJECT %s v", "REFRESH %s", "PUT %s v", "SIGN %s https://example.com/", "STATUS %s", "HISTORY %s",
			"LIST %s", "EXCHANGE %s c", "IMPORT %s", "PUSH %s " + fakeSignature + " 1 n YQ",
		} {
			for i := range hidden {
				fmt.Fprintf(&ofHidden, form+"\n", hidden[i])
				fmt.Fprintf(&ofUnknown, form+"\n", unknown[i])
			}
		}
		ofHidden.WriteString("WATCH open_platform/\n")
		ofUnknown.WriteString("WATCH open_\n")
		ask := func(requests string) string {
			h := startAs(t, account(uid, 5, 6), path, "ask", strings.TrimSuffix(requests, "\n"))
			defer h.end()
			all, err := io.ReadAll(h.out)
			if err != nil {
				t.Fatal(err)
			}
			return string(all)
		}
		got, want := ask(ofHidden.String()), ask(ofUnknown.String())
		// The messages about malformed names count bytes and segments of what was asked.
		if got != want {
			t.Errorf("uid %d\nof what exists %s\nof what does not %s", uid, got, want)
		}
		for _, secret := range []string{"tok-", "wwcorp", workToken, aGrant, "open_platform/wxcomponent"} {
			if strings.Contains(got, secret) {
				t.Errorf("uid %d sees %q:\n%s", uid, secret, got)
			}
		}
		if n := strings.Count(got, "\n"); n < 50 {
			t.Errorf("uid %d: %d lines: the conversation ended early:\n%s", uid, n, got)
		}
	}
	// What others have done is nobody's business.
	c := dialSocket(t, path)
	c.want(c.ask("GET %s", workToken)[:3], "OK ")
	h := startAs(t, account(1201), path, "ask", "STATS")
	all, err := io.ReadAll(h.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\nreads 0\n", "\nconnections 3\n"} {
		if !strings.Contains(string(all), line) {
			t.Errorf("STATS of uid 1201: want %q in it:\n%s", line, all)
		}
	}
	if strings.Contains(string(all), "calls:") {
		t.Errorf("STATS of uid 1201 tells what is fetched:\n%s", all)
	}
}

// TestSocketAuditOfRealUsers checks that the audit log has the names of real users.
func TestSocketAuditOfRealUsers(t *testing.T) { overBoth(t, trySocketAuditOfRealUsers) }

func trySocketAuditOfRealUsers(t *testing.T, d driver) {
	needRoot(t)
	var log syncBuffer
	path, _, _ := d.startSocket(t, Config{Logger: testLogger(&log), Rules: []access.Rule{
		{UIDs: []uint32{65534}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "REJECT"}},
	}})
	askAs(t, path, "REJECT "+token+" canary", account(65534))
	askAs(t, path, "REFRESH "+token, account(65534))
	askAs(t, path, "GET "+workToken, account(65534))
	askAs(t, path, "PING", account(1203))
	text := log.String()
	for _, want := range []string{
		"audit: verb=REJECT name=" + token + " uid=65534 user=nobody pid=",
		"audit: verb=REFRESH name=" + token + " uid=65534 user=nobody pid=",
		"audit: verb=GET name=" + workToken + " uid=65534 user=nobody pid=",
		"audit: verb=CONNECT name=- uid=1203 user=1203 pid=",
		"outcome=ok", "outcome=DENIED", "outcome=NOT_FOUND", "outcome=no_rule",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("the log contains a value:\n%s", text)
	}
}
