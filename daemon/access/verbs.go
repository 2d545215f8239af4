package access

import "tokend/protocol"

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
