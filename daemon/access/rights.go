package access

import (
	"slices"
	"strings"

	"tokend/protocol"
)

// Rights is what a peer may do. It is immutable, and connections may share it. No method allocates,
// except [Rights.MayOwn].
type Rights struct {
	everywhere verbs   // granted on every name
	anywhere   verbs   // granted on some name at least
	grants     []grant // further ones; a name without a match is invisible, unless seesAll
	seesAll    bool
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
	rightsOfOperators = &Rights{everywhere: ^verbs(0), anywhere: ^verbs(0), seesAll: true}
	rightsOfReaders   = &Rights{everywhere: verbsOfAll | verbsOfReaders, anywhere: verbsOfAll | verbsOfReaders, seesAll: true}
)

// Everywhere reports whether v is granted on every name.
func (r *Rights) Everywhere(v protocol.Verb) bool { return r.everywhere.has(v) }

// Anywhere reports whether v is granted on some name at least. That is enough for a verb without a
// name.
func (r *Rights) Anywhere(v protocol.Verb) bool { return r.anywhere.has(v) }

// None reports whether there are rules and none of them applies to the peer.
func (r *Rights) None() bool { return r.anywhere == verbsOfAll }

// May reports whether the peer may use v on name, and whether the peer may know that name exists.
// Nothing is granted on an invisible name. The result depends on the rules and the name only, and
// not on whether the credential exists. Neither the reply nor its time distinguishes a hidden name
// from an unknown one.
func (r *Rights) May(v protocol.Verb, name []byte) (granted, visible bool) {
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

// MayLike is the first result of [Rights.May]. It tries the grant with the index *last first, and
// sets *last to the grant that matched: consecutive names of one program often match the same one.
func (r *Rights) MayLike(last *int, v protocol.Verb, name []byte) bool {
	if r.everywhere.has(v) {
		return true
	}
	if *last < len(r.grants) && gives(&r.grants[*last], v, name) {
		return true
	}
	for i := range r.grants {
		if gives(&r.grants[i], v, name) {
			*last = i
			return true
		}
	}
	return false
}

// MayOwn is [Rights.May] for an owner (family/owner). An owner matches as the name owner/* does: by
// a pattern that covers every name beneath the owner.
func (r *Rights) MayOwn(v protocol.Verb, owner []byte) (granted, visible bool) {
	return r.May(v, slices.Concat(owner, []byte("/*")))
}

// MayList reports whether a list for v contains name: v is granted on it.
func (r *Rights) MayList(v protocol.Verb, name string) bool {
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

// MayListUnder reports whether MayList can be true of a name under prefix. Otherwise the caller
// needs no lookup, whose time would depend on which credentials exist. From its first star on, a
// pattern is taken to match anything.
func (r *Rights) MayListUnder(v protocol.Verb, prefix string) bool {
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

// verbs is a set of protocol verbs.
type verbs uint32

func setOf(vs ...protocol.Verb) verbs {
	var set verbs
	for _, v := range vs {
		set |= 1 << v
	}
	return set
}

func verbsNamed(words []string) verbs {
	var set verbs
	for _, word := range words {
		if v, ok := protocol.ParseVerb(word); ok {
			set |= setOf(v)
		}
	}
	return set
}

func (s verbs) has(v protocol.Verb) bool { return s&(1<<v) != 0 }

var (
	// verbsOfAll are granted to every peer: their replies contain nothing of a credential.
	verbsOfAll = setOf(protocol.VerbPing, protocol.VerbVersion, protocol.VerbQuit)

	// verbsOfReaders are granted to every peer that can open the socket, where there are no rules.
	// PUSH is one of them because a push is authenticated by its signature.
	verbsOfReaders = setOf(protocol.VerbGet, protocol.VerbReject, protocol.VerbSign, protocol.VerbList,
		protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats, protocol.VerbWatch, protocol.VerbPush)

	// verbsOfOperators cannot be granted by a rule: they concern more than some names.
	verbsOfOperators = setOf(protocol.VerbBackup, protocol.VerbReload)
)
