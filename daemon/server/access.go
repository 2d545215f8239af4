package server

import (
	"slices"
	"strings"

	"tokend/protocol"
)

// Rule grants verbs on names to peers: one [[access]] table of the
// configuration, with users and groups resolved to their numbers.
type Rule struct {
	// UIDs and GIDs are who the rule is for: a peer that is one of UIDs, or is in one
	// of GIDs, its supplementary groups counted. Both empty: nobody.
	UIDs []uint32
	GIDs []uint32

	// Names are patterns of whole names; * stands for any characters, '/' among them.
	Names []string

	// Verbs are the protocol's words in upper case. A word that this version
	// has no verb for grants nothing.
	Verbs []string
}

func (r Rule) appliesTo(p Peer) bool {
	return slices.Contains(r.UIDs, p.UID) || slices.ContainsFunc(r.GIDs, p.in)
}

// verbs is a set of protocol verbs.
type verbs uint32

func verbSet(vs ...protocol.Verb) verbs {
	var set verbs
	for _, v := range vs {
		set |= 1 << v
	}
	return set
}

func (s verbs) has(v protocol.Verb) bool { return s&(1<<v) != 0 }

var (
	// verbsOfAll are open to whoever has a connection, whatever the rules say: they
	// tell nothing of any credential.
	verbsOfAll = verbSet(protocol.VerbPing, protocol.VerbVersion, protocol.VerbQuit)

	// verbsOfReaders are open to whoever can open the socket where there
	// are no rules. PUSH is among them because what is pushed proves itself, by its
	// signature.
	verbsOfReaders = verbSet(protocol.VerbGet, protocol.VerbReject, protocol.VerbSign, protocol.VerbList,
		protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats, protocol.VerbWatch, protocol.VerbPush)
)

// verbsOfOperators are granted by no rule: what they tell or change is not of some names.
var verbsOfOperators = verbSet(protocol.VerbBackup, protocol.VerbReload)

// access is the compiled rules: what every peer may do. It is immutable; a reload
// makes another and says so.
type access struct {
	self   uint32 // the daemon's own uid
	rules  []rule
	groups bool // one of rules is for groups

	replaced chan struct{} // closed when other rules are in force
}

// rule is a Rule with its verbs looked up and its patterns taken apart.
type rule struct {
	Rule
	verbs    verbs
	patterns []pattern // of Names, and in their order
}

func newAccess(self uint32, rules []Rule) *access {
	a := &access{self: self, replaced: make(chan struct{})}
	for _, r := range rules {
		a.groups = a.groups || len(r.GIDs) > 0
		patterns := make([]pattern, len(r.Names))
		for i, name := range r.Names {
			patterns[i] = newPattern(name)
		}
		a.rules = append(a.rules, rule{r, verbsNamed(r.Verbs) &^ verbsOfOperators, patterns})
	}
	return a
}

func verbsNamed(words []string) verbs {
	var set verbs
	for _, word := range words {
		if v, ok := protocol.ParseVerb(word); ok {
			set |= verbSet(v)
		}
	}
	return set
}

// rights is what one peer may do, decided once for its connection. It is
// immutable and may be shared by connections.
type rights struct {
	// everywhere are the verbs granted on every name there is.
	everywhere verbs

	// anywhere are the verbs granted on some name at least: all that matters to a verb
	// without a name.
	anywhere verbs

	// grants are what else is granted; a name that none of them matches is
	// invisible, unless seesAll.
	grants  []grant
	seesAll bool
}

// grant is one pattern of a rule that applies to the peer.
type grant struct {
	verbs verbs
	pattern
}

// gives reports whether g grants v on name.
func gives[T string | []byte](g *grant, v protocol.Verb, name T) bool {
	return g.verbs.has(v) && matches(&g.pattern, name)
}

var (
	rightsOfOperators = &rights{everywhere: ^verbs(0), anywhere: ^verbs(0), seesAll: true}
	rightsOfReaders   = &rights{everywhere: verbsOfAll | verbsOfReaders, anywhere: verbsOfAll | verbsOfReaders, seesAll: true}
)

// decision is what a peer was found to be allowed.
type decision struct {
	by     *access
	peer   Peer
	rights *rights
}

// rightsOf returns what p, which is u's, may do. That is decided anew only where it may have
// changed, so that a client that connects for one request need not wait for it, and that the
// connections of a user have one between them.
func (u *user) rightsOf(a *access, p Peer) *rights {
	d := u.decided.Load()
	if d == nil || d.by != a || d.peer.UID != p.UID || a.groups && !(d.peer.GID == p.GID && slices.Equal(d.peer.Groups, p.Groups)) {
		d = &decision{a, p, a.rightsOf(p)}
		u.decided.Store(d)
	}
	return d.rights
}

// rightsOf decides what p may do. Root and the daemon's own user may do all; without
// rules everybody else may read; with rules, what they say.
func (a *access) rightsOf(p Peer) *rights {
	switch {
	case p.UID == 0 || p.UID == a.self:
		return rightsOfOperators
	case len(a.rules) == 0:
		return rightsOfReaders
	}
	r := &rights{everywhere: verbsOfAll, anywhere: verbsOfAll}
	for _, rule := range a.rules {
		if !rule.appliesTo(p) {
			continue
		}
		for _, p := range rule.patterns {
			r.anywhere |= rule.verbs
			if p.text == "*" {
				r.everywhere |= rule.verbs
				r.seesAll = true
				continue
			}
			r.grants = append(r.grants, grant{rule.verbs, p})
		}
	}
	return r
}

// none reports whether there are rules and none of them is for the peer.
func (r *rights) none() bool { return r.anywhere == verbsOfAll }

// may reports whether the peer may use v on name, and whether it may know of
// the name at all. What it may not see, it may not use. The answer depends on the rules and the
// name's letters alone, never on whether there is such a credential: neither the reply
// nor the time it takes tells a hidden name from an unknown one. It does not allocate.
func (r *rights) may(v protocol.Verb, name []byte) (granted, visible bool) {
	if r.everywhere.has(v) {
		return true, true
	}
	visible = r.seesAll
	for i := range r.grants {
		g := &r.grants[i]
		if visible && !g.verbs.has(v) || !matches(&g.pattern, name) {
			continue
		}
		if g.verbs.has(v) {
			return true, true
		}
		visible = true
	}
	return false, visible
}

// mayOwn is may for an owner (family/owner), which is matched as a name owner/* would
// be: only a pattern that covers everything beneath the owner matches it.
func (r *rights) mayOwn(v protocol.Verb, owner []byte) (granted, visible bool) {
	return r.may(v, slices.Concat(owner, []byte("/*")))
}

// mayList is may for a name out of a list: a name is shown to whom v is granted on
// it.
func (r *rights) mayList(v protocol.Verb, name string) bool {
	if r.everywhere.has(v) {
		return true
	}
	for i := range r.grants {
		if gives(&r.grants[i], v, name) {
			return true
		}
	}
	return false
}

// mayListUnder reports whether mayList could be true of any name under prefix. Where it could not,
// nothing needs to be looked up, and how long that takes says nothing of what there is. A
// pattern is taken to match anything from its first star on.
func (r *rights) mayListUnder(v protocol.Verb, prefix string) bool {
	if r.everywhere.has(v) {
		return true
	}
	return slices.ContainsFunc(r.grants, func(g grant) bool {
		if !g.verbs.has(v) {
			return false
		}
		return strings.HasPrefix(g.head, prefix) || g.rest != "" && strings.HasPrefix(prefix, g.head)
	})
}
