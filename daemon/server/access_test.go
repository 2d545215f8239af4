package server

import (
	"fmt"
	"testing"

	"tokend/protocol"
)

func TestAccess(t *testing.T) {
	const (
		self     = 990
		www      = 33
		shop     = 1001
		stranger = 2000
		webGroup = 500
	)
	rules := []Rule{
		{UIDs: []uint32{www}, Names: []string{"official_account/*", "work/ww0123/*"},
			Verbs: []string{"GET", "REJECT", "SIGN", "LIST", "STATUS", "WATCH"}},
		{GIDs: []uint32{webGroup}, Names: []string{"*/jsapi_ticket"}, Verbs: []string{"SIGN", "STATS", "PUT"}},
		{UIDs: []uint32{shop}, GIDs: []uint32{webGroup}, Names: []string{"*"}, Verbs: []string{"LIST"}},
		{UIDs: []uint32{shop}, Names: []string{"official_account/wxshop/*"}, Verbs: []string{"GET", "REFRESH"}},
		{Names: []string{"*"}, Verbs: []string{"GET"}}, // for nobody
	}
	const (
		yes    = "granted"
		denied = "denied"
		hidden = "hidden"
	)
	tests := []struct {
		rules []Rule
		peer  Peer
		verb  protocol.Verb
		name  string
		want  string
	}{
		// Without rules.
		{nil, Peer{UID: stranger}, protocol.VerbGet, token, yes},
		{nil, Peer{UID: stranger}, protocol.VerbReject, token, yes},
		{nil, Peer{UID: stranger}, protocol.VerbSign, ticket, yes},
		{nil, Peer{UID: stranger}, protocol.VerbStatus, token, yes},
		{nil, Peer{UID: stranger}, protocol.VerbHistory, token, yes},
		{nil, Peer{UID: stranger}, protocol.VerbRefresh, token, denied},
		{nil, Peer{UID: 0}, protocol.VerbRefresh, token, yes},
		{nil, Peer{UID: self}, protocol.VerbRefresh, token, yes},
		{nil, Peer{UID: stranger, GID: 0, Groups: []uint32{0}}, protocol.VerbRefresh, token, denied}, // root's group is not root

		{nil, Peer{UID: stranger}, protocol.VerbPut, aGrant, denied},
		{nil, Peer{UID: 0}, protocol.VerbPut, aGrant, yes},
		{nil, Peer{UID: self}, protocol.VerbPut, aGrant, yes},

		// With rules.
		{rules, Peer{UID: 0}, protocol.VerbRefresh, cold, yes},
		{rules, Peer{UID: self}, protocol.VerbHistory, cold, yes},
		{rules, Peer{UID: www}, protocol.VerbGet, token, yes},
		{rules, Peer{UID: www}, protocol.VerbRefresh, token, denied},
		{rules, Peer{UID: www}, protocol.VerbHistory, token, denied},
		{rules, Peer{UID: www}, protocol.VerbGet, cold, hidden},
		{rules, Peer{UID: www}, protocol.VerbRefresh, cold, hidden},
		{rules, Peer{UID: www}, protocol.VerbGet, workToken, yes},
		{rules, Peer{UID: www}, protocol.VerbGet, "work/ww01234/1/access_token", hidden},
		{rules, Peer{UID: stranger}, protocol.VerbGet, token, hidden},
		{rules, Peer{UID: stranger, GID: www}, protocol.VerbGet, token, hidden}, // a uid is no gid

		// By group: the first and the supplementary ones alike.
		{rules, Peer{UID: stranger, GID: webGroup}, protocol.VerbSign, ticket, yes},
		{rules, Peer{UID: stranger, Groups: []uint32{7, webGroup}}, protocol.VerbSign, ticket, yes},
		{rules, Peer{UID: stranger, Groups: []uint32{7, webGroup + 1}}, protocol.VerbSign, ticket, hidden},
		{rules, Peer{UID: stranger, Groups: []uint32{webGroup}}, protocol.VerbGet, ticket, denied}, // seen by the third rule
		{rules, Peer{UID: www, Groups: []uint32{webGroup}}, protocol.VerbGet, token, yes},

		// Several rules add up.
		{rules, Peer{UID: shop}, protocol.VerbGet, token, denied},
		{rules, Peer{UID: shop}, protocol.VerbGet, "official_account/wxshop/access_token", yes},
		{rules, Peer{UID: shop}, protocol.VerbRefresh, "official_account/wxshop/access_token", yes},
		{rules, Peer{UID: shop}, protocol.VerbReject, "official_account/wxshop/access_token", denied},
	}
	for _, tt := range tests {
		r := newAccess(self, tt.rules).rightsOf(tt.peer)
		granted, visible := r.may(tt.verb, []byte(tt.name))
		got := hidden
		if visible {
			got = denied
		}
		if granted {
			got = yes
		}
		if got != tt.want {
			t.Errorf("%+v, %s %s (%d rules)\n got %s\nwant %s", tt.peer, tt.verb, tt.name, len(tt.rules), got, tt.want)
		}
		if granted && !visible {
			t.Errorf("%+v, %s %s: granted, but not visible", tt.peer, tt.verb, tt.name)
		}
	}
}

// An owner is matched as owner/* would be.
func TestAccessToOwners(t *testing.T) {
	const (
		self     = 990
		www      = 33
		shop     = 1001
		partial  = 1002
		stranger = 2000

		suite = "open_work/wwsuite"
	)
	rules := []Rule{
		{UIDs: []uint32{www}, Names: []string{"open_platform/*"}, Verbs: []string{"GET", "PUSH"}},
		{UIDs: []uint32{shop}, Names: []string{platform + "/*"}, Verbs: []string{"EXCHANGE", "PUSH", "IMPORT"}},
		// Not all that is beneath the owner, so not the owner.
		{UIDs: []uint32{partial}, Names: []string{platform + "/wx*", platform + "/*/access_token", "*/refresh_token", platform, platform + "/"},
			Verbs: []string{"EXCHANGE", "PUSH", "IMPORT", "PUT"}},
	}
	const (
		yes    = "granted"
		denied = "denied"
		hidden = "hidden"
	)
	for _, tt := range []struct {
		rules []Rule
		uid   uint32
		verb  protocol.Verb
		owner string
		want  string
	}{
		{nil, stranger, protocol.VerbPush, platform, yes},
		{nil, stranger, protocol.VerbExchange, platform, denied},
		{nil, stranger, protocol.VerbImport, platform, denied},
		{nil, self, protocol.VerbExchange, platform, yes},
		{nil, 0, protocol.VerbImport, suite, yes},

		{rules, 0, protocol.VerbExchange, suite, yes},
		{rules, self, protocol.VerbPush, suite, yes},
		{rules, www, protocol.VerbPush, platform, yes},
		{rules, www, protocol.VerbExchange, platform, denied},
		{rules, www, protocol.VerbImport, platform, denied},
		{rules, www, protocol.VerbPush, suite, hidden},
		{rules, shop, protocol.VerbExchange, platform, yes},
		{rules, shop, protocol.VerbImport, platform, yes},
		{rules, shop, protocol.VerbExchange, platform + "2", hidden},
		{rules, partial, protocol.VerbPush, platform, hidden},
		{rules, partial, protocol.VerbExchange, platform, hidden},
		{rules, stranger, protocol.VerbPush, platform, hidden},
	} {
		granted, visible := newAccess(self, tt.rules).rightsOf(Peer{UID: tt.uid}).mayOwn(tt.verb, []byte(tt.owner))
		got := hidden
		if visible {
			got = denied
		}
		if granted {
			got = yes
		}
		if got != tt.want {
			t.Errorf("uid %d, %s %s (%d rules)\n got %s\nwant %s", tt.uid, tt.verb, tt.owner, len(tt.rules), got, tt.want)
		}
	}
}

func TestAccessOfVerbsWithoutName(t *testing.T) {
	rules := []Rule{
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
		r := newAccess(990, rules).rightsOf(Peer{UID: tt.uid})
		if got := r.anywhere.has(tt.verb); got != tt.want {
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
		s := sessionOf(New(Config{Rules: rules}), Peer{UID: uid}) // no engine: nothing is asked
		asks := "LIST\n"
		if uid == 2 {
			asks += "WATCH\nSTATS\nPING\n"
		}
		if got, _ := drive(t, s, []byte(asks)); got != want {
			t.Errorf("uid %d\n got %q\nwant %q", uid, got, want)
		}
	}
	r := newAccess(990, rules).rightsOf(Peer{UID: 1})
	for name, want := range map[string]bool{workToken: true, token: false} {
		if got := r.mayList(protocol.VerbList, name); got != want {
			t.Errorf("uid 1, LIST shows %s\n got %v\nwant %v", name, got, want)
		}
	}
	if newAccess(990, rules).rightsOf(Peer{UID: 2}).mayList(protocol.VerbList, workToken) {
		t.Error("uid 2 is shown in a list what it may only GET")
	}
}

// A hidden credential and one that does not exist are answered alike, to the byte, by every
// verb, and the engine is asked for neither.
func TestHiddenLooksLikeUnknown(t *testing.T) {
	rules := []Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "LIST", "WATCH"}}}
	for _, verb := range []string{"GET %s", "REJECT %s v", "REFRESH %s", "PUT %s v", "SIGN %s https://example.com/", "STATUS %s", "HISTORY %s", "LIST %s"} {
		ask := func(name string) string {
			// No engine: whoever asks it panics. LIST does ask.
			cfg := Config{Rules: rules}
			if verb == "LIST %s" {
				cfg.Engine = newFakeEngine()
			}
			s := sessionOf(New(cfg), Peer{UID: guest})
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
			got, _ := drive(t, sessionOf(New(cfg), Peer{UID: guest}), fmt.Appendf(nil, verb+"\n", owner))
			return got
		}
		hidden := ask(platform, Config{Rules: rules}) // no engine
		seen := []Rule{{UIDs: []uint32{guest}, Names: []string{"open_platform/*"}, Verbs: []string{"EXCHANGE", "IMPORT", "PUSH"}}}
		engine := newFakeEngine()
		unknown := ask("open_platform/wxnobody", Config{Rules: seen, Engine: engine, Inbox: fakeInbox{engine}})
		if hidden != unknown || hidden != "ERR NOT_FOUND - no such owner\n" {
			t.Errorf("%s\n hidden %q\nunknown %q", verb, hidden, unknown)
		}
	}
	// A grant that may be seen is write-only; one that may not is none.
	for name, want := range map[string]string{
		aGrant: "ERR DENIED - write-only\n",
		"open_work/wwsuite/wwcorp/permanent_code": "ERR NOT_FOUND - no such credential\n",
	} {
		engine := newFakeEngine()
		if err := engine.Put(t.Context(), aGrant, "v"); err != nil {
			t.Fatal(err)
		}
		seen := []Rule{{UIDs: []uint32{guest}, Names: []string{"open_platform/*"}, Verbs: []string{"GET", "REJECT"}}}
		s := sessionOf(New(Config{Rules: seen, Engine: engine}), Peer{UID: guest})
		if got, _ := drive(t, s, []byte("GET "+name+"\nREJECT "+name+" v\n")); got != want+want {
			t.Errorf("%s\n got %q\nwant %q twice", name, got, want)
		}
	}
	// What is visible by the rules and unknown to the engine reads the same.
	s := sessionOf(New(Config{Rules: rules, Engine: newFakeEngine()}), Peer{UID: guest})
	got, _ := drive(t, s, []byte("GET official_account/wx9999/access_token\nGET "+workToken+"\n"))
	if want := "ERR NOT_FOUND - no such credential\nERR NOT_FOUND - no such credential\n"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// What the peers of one user may do is decided once, and anew where something else may come of it:
// by other rules, or in other groups where a rule is for groups.
func TestRightsAreDecidedOnce(t *testing.T) {
	byUser := []Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/*"}, Verbs: []string{"GET"}}}
	byGroup := append(byUser, Rule{GIDs: []uint32{500}, Names: []string{"work/*"}, Verbs: []string{"GET"}})
	srv := New(Config{Rules: byUser})
	u := srv.users.get(guest)
	rightsOf := func(p Peer) *rights {
		s := newSession(srv, p, u)
		s.renewRights()
		return s.rights
	}
	alone, inGroup, ofGroup := Peer{UID: guest, PID: 1}, Peer{UID: guest, PID: 2, Groups: []uint32{500}}, Peer{UID: guest, GID: 500}
	first := rightsOf(alone)
	if rightsOf(inGroup) != first || rightsOf(ofGroup) != first {
		t.Error("rules for users alone: decided anew for another peer of the same user")
	}
	for name, rules := range map[string][]Rule{"the same rules once more": byUser, "rules for a group": byGroup} {
		srv.SetRules(rules)
		if rightsOf(alone) == first {
			t.Errorf("%s: not decided anew", name)
		}
	}
	srv.SetRules(byGroup)
	for range 2 {
		for _, tt := range []struct {
			peer    Peer
			granted bool
		}{{alone, false}, {inGroup, true}, {inGroup, true}, {ofGroup, true}, {alone, false}, {ofGroup, true}} {
			if got, _ := rightsOf(tt.peer).may(protocol.VerbGet, []byte(workToken)); got != tt.granted {
				t.Errorf("%+v: granted %v, want %v", tt.peer, got, tt.granted)
			}
		}
	}
	if a, b := rightsOf(inGroup), rightsOf(inGroup); a != b {
		t.Error("rules for groups: decided anew for a peer in the same ones")
	}
	s := newSession(srv, inGroup, u)
	if n := testing.AllocsPerRun(100, func() { s.access = nil; s.renewRights() }); n != 0 {
		t.Errorf("%v allocations for a peer that is known", n)
	}
}

// A session that remembers which grant was the last to give may GET what the rights say, whatever
// was asked before, and after the rules have changed too.
func TestMayGetRemembersNothingButAGuess(t *testing.T) {
	many := []Rule{
		{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"STATUS"}},
		{UIDs: []uint32{guest}, Names: []string{"mini_program/*", "official_account/*/jsapi_ticket"}, Verbs: []string{"GET"}},
		{UIDs: []uint32{guest}, Names: []string{"official_account/wx0123/*"}, Verbs: []string{"GET"}},
	}
	names := []string{token, ticket, workToken, cold, token, "mini_program/wx4567/access_token", cold, token, "", "w"}
	srv := New(Config{Rules: many})
	s := sessionOf(srv, Peer{UID: guest})
	for _, rules := range [][]Rule{many, many[1:2], many[:1], nil, many, {{UIDs: []uint32{guest}, Names: []string{"*"}, Verbs: []string{"GET"}}}, many[2:]} {
		srv.SetRules(rules)
		s.renewRights()
		for range 2 {
			for _, name := range names {
				want, _ := s.rights.may(protocol.VerbGet, []byte(name))
				if got := s.mayGet([]byte(name)); got != want {
					t.Errorf("%d rules, %q: got %v, want %v", len(rules), name, got, want)
				}
			}
		}
	}
}
