package server

import (
	"fmt"
	"testing"

	"tokend/daemon/access"
	"tokend/protocol"
)

func TestAccessOfVerbsWithoutName(t *testing.T) {
	rules := []access.Rule{
		{UIDs: []uint32{1}, Names: []string{"work/*"}, Verbs: []string{"LIST", "STATS"}},
		{UIDs: []uint32{2}, Names: []string{"work/*"}, Verbs: []string{"GET"}},
		{UIDs: []uint32{2}, Names: nil, Verbs: []string{"STATS"}}, // no names: grants nothing
	}
	tests := []struct {
		uid  uint32
		verb protocol.Verb
		want bool
	}{
		{1, protocol.VerbList, true},
		{1, protocol.VerbStats, true},
		{1, protocol.VerbWatch, false},
		{2, protocol.VerbList, false},
		{2, protocol.VerbStats, false},
		{3, protocol.VerbList, false},
		{3, protocol.VerbPing, true},
		{3, protocol.VerbVersion, true},
		{3, protocol.VerbQuit, true},
	}
	for _, tt := range tests {
		r := access.Compile(990, rules).Of(access.Peer{UID: tt.uid})
		if got := r.Anywhere(tt.verb); got != tt.want {
			t.Errorf("uid %d, %s\n got %v\nwant %v", tt.uid, tt.verb, got, tt.want)
		}
	}
	for uid, want := range map[uint32]string{
		// It sees names, and may do other things with them.
		2: "ERR DENIED - LIST is not granted to this user\nERR DENIED - WATCH is not granted to this user\n" +
			"ERR DENIED - STATS is not granted to this user\nOK PONG\n",
		// It sees none: they are absent, and that is all there is to say.
		3: "OK 0\n",
	} {
		s := sessionOf(New(Config{Rules: rules}), access.Peer{UID: uid}) // no engine: nothing is asked
		asks := "LIST\n"
		if uid == 2 {
			asks += "WATCH\nSTATS\nPING\n"
		}
		if got, _ := drive(t, s, []byte(asks)); got != want {
			t.Errorf("uid %d\n got %q\nwant %q", uid, got, want)
		}
	}
	r := access.Compile(990, rules).Of(access.Peer{UID: 1})
	for name, want := range map[string]bool{workToken: true, token: false} {
		if got := r.MayList(protocol.VerbList, name); got != want {
			t.Errorf("uid 1, LIST shows %s\n got %v\nwant %v", name, got, want)
		}
	}
	if access.Compile(990, rules).Of(access.Peer{UID: 2}).MayList(protocol.VerbList, workToken) {
		t.Error("uid 2 is shown in a list what it may only GET")
	}
}

// TestHiddenLooksLikeUnknown checks that every verb answers the same bytes for a hidden name and
// for an unknown one, without a call of the engine.
func TestHiddenLooksLikeUnknown(t *testing.T) {
	rules := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "LIST", "WATCH"}}}
	for _, verb := range []string{"GET %s", "REJECT %s v", "REFRESH %s", "PUT %s v", "SIGN %s https://example.com/", "STATUS %s", "HISTORY %s", "LIST %s"} {
		ask := func(name string) string {
			// No engine: a call panics. LIST makes one.
			cfg := Config{Rules: rules}
			if verb == "LIST %s" {
				cfg.Engine = newFakeEngine()
			}
			s := sessionOf(New(cfg), access.Peer{UID: guest})
			got, _ := drive(t, s, []byte(fmt.Sprintf(verb, name)+"\n"))
			return got
		}
		hidden, unknown := ask(workToken), ask("work/ww0123/9999999/access_token")
		if hidden != unknown {
			t.Errorf("%s\n hidden %q\nunknown %q", verb, hidden, unknown)
		}
	}
	for _, verb := range []string{"EXCHANGE %s c", "IMPORT %s", "PUSH %s " + fakeSignature + " 1 n YQ"} {
		ask := func(owner string, cfg Config) string {
			got, _ := drive(t, sessionOf(New(cfg), access.Peer{UID: guest}), fmt.Appendf(nil, verb+"\n", owner))
			return got
		}
		hidden := ask(platform, Config{Rules: rules}) // no engine
		seen := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"open_platform/*"}, Verbs: []string{"EXCHANGE", "IMPORT", "PUSH"}}}
		engine := newFakeEngine()
		unknown := ask("open_platform/wxnobody", Config{Rules: seen, Engine: engine, Inbox: fakeInbox{engine}})
		if hidden != unknown || hidden != "ERR NOT_FOUND - no such owner\n" {
			t.Errorf("%s\n hidden %q\nunknown %q", verb, hidden, unknown)
		}
	}
	// A visible grant is write-only. A hidden grant does not exist.
	for name, want := range map[string]string{
		aGrant: "ERR DENIED - write-only\n",
		"open_work/wwsuite/wwcorp/permanent_code": "ERR NOT_FOUND - no such credential\n",
	} {
		engine := newFakeEngine()
		if err := engine.Put(t.Context(), aGrant, "v"); err != nil {
			t.Fatal(err)
		}
		seen := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"open_platform/*"}, Verbs: []string{"GET", "REJECT"}}}
		s := sessionOf(New(Config{Rules: seen, Engine: engine}), access.Peer{UID: guest})
		if got, _ := drive(t, s, []byte("GET "+name+"\nREJECT "+name+" v\n")); got != want+want {
			t.Errorf("%s\n got %q\nwant %q twice", name, got, want)
		}
	}
	// What is visible by the rules and unknown to the engine reads the same.
	s := sessionOf(New(Config{Rules: rules, Engine: newFakeEngine()}), access.Peer{UID: guest})
	got, _ := drive(t, s, []byte("GET official_account/wx9999/access_token\nGET "+workToken+"\n"))
	if want := "ERR NOT_FOUND - no such credential\nERR NOT_FOUND - no such credential\n"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestRightsAreDecidedOnce checks that the rights of a user's peers are decided again only if the
// result may differ: for other rules, and for other groups if a rule is for groups.
func TestRightsAreDecidedOnce(t *testing.T) {
	byUser := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/*"}, Verbs: []string{"GET"}}}
	byGroup := append(byUser, access.Rule{GIDs: []uint32{500}, Names: []string{"work/*"}, Verbs: []string{"GET"}})
	srv := New(Config{Rules: byUser})
	u := srv.users.get(guest)
	rightsOf := func(p access.Peer) *access.Rights {
		s := newSession(srv, p, u)
		s.renewRights()
		return s.rights
	}
	alone, inGroup, ofGroup := access.Peer{UID: guest, PID: 1}, access.Peer{UID: guest, PID: 2, Groups: []uint32{500}}, access.Peer{UID: guest, GID: 500}
	first := rightsOf(alone)
	if rightsOf(inGroup) != first || rightsOf(ofGroup) != first {
		t.Error("rules for users alone: decided again for another peer of the same user")
	}
	for name, rules := range map[string][]access.Rule{"the same rules again": byUser, "rules for a group": byGroup} {
		srv.SetRules(rules)
		if rightsOf(alone) == first {
			t.Errorf("%s: not decided again", name)
		}
	}
	srv.SetRules(byGroup)
	for range 2 {
		for _, tt := range []struct {
			peer    access.Peer
			granted bool
		}{{alone, false}, {inGroup, true}, {inGroup, true}, {ofGroup, true}, {alone, false}, {ofGroup, true}} {
			if got, _ := rightsOf(tt.peer).May(protocol.VerbGet, []byte(workToken)); got != tt.granted {
				t.Errorf("%+v: granted %v, want %v", tt.peer, got, tt.granted)
			}
		}
	}
	if a, b := rightsOf(inGroup), rightsOf(inGroup); a != b {
		t.Error("rules for groups: decided again for a peer in the same groups")
	}
	s := newSession(srv, inGroup, u)
	if n := testing.AllocsPerRun(100, func() { s.rules = nil; s.renewRights() }); n != 0 {
		t.Errorf("%v allocations for a peer that is known", n)
	}
}

// A session that remembers which grant was the last to give may GET what the rights say, whatever
// was asked before, and after the rules have changed too.
func TestMayGetKeepsOnlyAHint(t *testing.T) {
	many := []access.Rule{
		{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"STATUS"}},
		{UIDs: []uint32{guest}, Names: []string{"mini_program/*", "official_account/*/jsapi_ticket"}, Verbs: []string{"GET"}},
		{UIDs: []uint32{guest}, Names: []string{"official_account/wx0123/*"}, Verbs: []string{"GET"}},
	}
	names := []string{token, ticket, workToken, cold, token, "mini_program/wx4567/access_token", cold, token, "", "w"}
	srv := New(Config{Rules: many})
	s := sessionOf(srv, access.Peer{UID: guest})
	for _, rules := range [][]access.Rule{many, many[1:2], many[:1], nil, many, {{UIDs: []uint32{guest}, Names: []string{"*"}, Verbs: []string{"GET"}}}, many[2:]} {
		srv.SetRules(rules)
		s.renewRights()
		for range 2 {
			for _, name := range names {
				want, _ := s.rights.May(protocol.VerbGet, []byte(name))
				if got := s.mayGet([]byte(name)); got != want {
					t.Errorf("%d rules, %q: got %v, want %v", len(rules), name, got, want)
				}
			}
		}
	}
}
