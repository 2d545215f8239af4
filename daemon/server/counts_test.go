package server

import (
	"slices"
	"testing"

	"tokend/daemon/access"
	"tokend/fetchers"
	"tokend/protocol"
)

// TestCountsByVerb holds that each request is counted once, under its verb, hits too, and each
// error under the verb that it answers.
func TestCountsByVerb(t *testing.T) {
	rules := []access.Rule{{UIDs: []uint32{alice}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "SIGN", "STATS"}}}
	s := New(Config{Engine: newFakeEngine(), Sign: fetchers.Sign, Rules: rules})
	operator := sessionOf(s, access.Peer{})
	drive(t, operator, []byte("GET "+token+"\nget "+token+"\nGET "+token+"\nSIGN "+ticket+" https://example.com/\nSIGN "+ticket+" https://example.com/\nPING\n"+
		"NONSENSE\n\nLIST\nREJECT "+token+" x\n"))
	drive(t, sessionOf(s, access.Peer{UID: alice}), []byte("GET "+token+"\nGET "+workToken+"\nLIST\nSTATUS "+token+"\nSIGN "+workToken+" x\n"))
	got := s.Counts()
	requests := map[string]int64{}
	for _, r := range got.Requests {
		if r.N > 0 {
			requests[r.Verb] = r.N
		}
	}
	want := map[string]int64{"GET": 5, "SIGN": 3, "PING": 1, "LIST": 2, "REJECT": 1, "STATUS": 1}
	for verb, n := range want {
		if requests[verb] != n {
			t.Errorf("%s: got %d, want %d", verb, requests[verb], n)
		}
		delete(requests, verb)
	}
	if len(requests) > 0 {
		t.Errorf("also counted: %v", requests)
	}
	wantErrors := []Errors{
		{"", "BAD_REQUEST", 2},
		{"GET", "NOT_FOUND", 1},
		{"SIGN", "NOT_FOUND", 1},
		{"LIST", "DENIED", 1},
		{"STATUS", "DENIED", 1},
	}
	if !slices.Equal(got.Errors, wantErrors) {
		t.Errorf("errors:\ngot  %v\nwant %v", got.Errors, wantErrors)
	}
	if got.Reads != 6 || got.Hits != 6 || got.Waits != 0 {
		t.Errorf("reads, hits, waits: got %d, %d, %d, want 6, 6, 0", got.Reads, got.Hits, got.Waits)
	}
	if n := len(got.Requests); n != len(protocol.Verbs()) {
		t.Errorf("verbs: got %d", n)
	}
}

// TestMaySeePages checks that the pages are for peers with LIST, STATUS and STATS on every name.
func TestMaySeePages(t *testing.T) {
	all := []string{"LIST", "STATUS", "STATS"}
	s := New(Config{Engine: newFakeEngine()})
	if !s.RightsOf(access.Peer{UID: alice}).MaySeePages() {
		t.Error("without rules, who can open the socket may not")
	}
	s.SetRules([]access.Rule{
		{UIDs: []uint32{alice}, Names: []string{"*"}, Verbs: all},
		{UIDs: []uint32{bob}, Names: []string{"*"}, Verbs: all[:2]},
		{UIDs: []uint32{carol}, Names: []string{"work/*"}, Verbs: all},
		{GIDs: []uint32{77}, Names: []string{"*"}, Verbs: all},
	})
	for _, test := range []struct {
		who  string
		peer access.Peer
		want bool
	}{
		{"root", access.Peer{}, true},
		{"one with all three on every name", access.Peer{UID: alice}, true},
		{"one without STATS", access.Peer{UID: bob}, false},
		{"one with some names", access.Peer{UID: carol}, false},
		{"one of a group", access.Peer{UID: carol, Groups: []uint32{77}}, true},
		{"a stranger", access.Peer{UID: 4711}, false},
	} {
		if got := s.RightsOf(test.peer).MaySeePages(); got != test.want {
			t.Errorf("%s: got %v, want %v", test.who, got, test.want)
		}
	}
}
