package access

import (
	"testing"

	"tokend/protocol"
)

const (
	token     = "official_account/wx0123/access_token"
	ticket    = "official_account/wx0123/jsapi_ticket"
	workToken = "work/ww0123/1000002/access_token"
	cold      = "mini_program/wx4567/access_token"
	platform  = "open_platform/wxcomponent"
	aGrant    = platform + "/wxauthorizer/refresh_token"
)

// The outcomes of May and MayOwn.
const (
	yes    = "granted"
	denied = "denied"
	hidden = "hidden"
)

func outcome(granted, visible bool) string {
	switch {
	case granted:
		return yes
	case visible:
		return denied
	}
	return hidden
}

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
		{Names: []string{"*"}, Verbs: []string{"GET"}}, // applies to no peer
	}
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
		{rules, Peer{UID: stranger, GID: www}, protocol.VerbGet, token, hidden}, // a uid is not a gid

		// Primary and supplementary groups.
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
		r := Compile(self, tt.rules).Of(tt.peer)
		granted, visible := r.May(tt.verb, []byte(tt.name))
		if got := outcome(granted, visible); got != tt.want {
			t.Errorf("%+v, %s %s (%d rules)\n got %s\nwant %s", tt.peer, tt.verb, tt.name, len(tt.rules), got, tt.want)
		}
		if granted && !visible {
			t.Errorf("%+v, %s %s: granted, but not visible", tt.peer, tt.verb, tt.name)
		}
	}
}

// TestAccessToOwners checks that an owner matches like the name owner/*.
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
		// Not every name under the owner, so not the owner.
		{UIDs: []uint32{partial}, Names: []string{platform + "/wx*", platform + "/*/access_token", "*/refresh_token", platform, platform + "/"},
			Verbs: []string{"EXCHANGE", "PUSH", "IMPORT", "PUT"}},
	}
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
		granted, visible := Compile(self, tt.rules).Of(Peer{UID: tt.uid}).MayOwn(tt.verb, []byte(tt.owner))
		if got := outcome(granted, visible); got != tt.want {
			t.Errorf("uid %d, %s %s (%d rules)\n got %s\nwant %s", tt.uid, tt.verb, tt.owner, len(tt.rules), got, tt.want)
		}
	}
}
