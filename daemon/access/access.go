package access

import (
	"slices"
)

// Rule grants verbs on names to peers: one [[access]] table of the configuration, with the numbers
// of its users and groups.
type Rule struct {
	// UIDs and GIDs are the peers that the rule is for: a peer with one of UIDs, or in one of GIDs,
	// including supplementary groups. If both are empty, the rule applies to no peer.
	UIDs []uint32
	GIDs []uint32

	// Names are patterns of whole names. * matches any characters, including '/'.
	Names []string

	// Verbs are the protocol's words in upper case. A word without a verb of this version grants
	// nothing.
	Verbs []string
}

func (r Rule) appliesTo(p Peer) bool {
	return slices.Contains(r.UIDs, p.UID) || slices.ContainsFunc(r.GIDs, p.In)
}

// Rules are compiled access rules. They are immutable; a reload compiles others and calls
// [Rules.Replace] on the old ones.
type Rules struct {
	self     uint32 // the daemon's own uid
	rules    []rule
	groups   bool // a rule has GIDs
	replaced chan struct{}
}

// rule is a Rule with parsed verbs and patterns.
type rule struct {
	Rule
	verbs    verbs
	patterns []pattern // of Names, in the same order
}

// Compile returns the rules of a daemon whose own user is self.
func Compile(self uint32, rules []Rule) *Rules {
	rs := &Rules{self: self, replaced: make(chan struct{})}
	for _, r := range rules {
		rs.groups = rs.groups || len(r.GIDs) > 0
		patterns := make([]pattern, len(r.Names))
		for i, name := range r.Names {
			patterns[i] = newPattern(name)
		}
		rs.rules = append(rs.rules, rule{r, verbsNamed(r.Verbs) &^ verbsOfOperators, patterns})
	}
	return rs
}

// Replace closes the channel of [Rules.Replaced]. It is called once, when other rules are in force.
func (rs *Rules) Replace() { close(rs.replaced) }

// Replaced is closed when other rules are in force.
func (rs *Rules) Replaced() <-chan struct{} { return rs.replaced }

// NeedGroups reports whether the rights of a peer depend on its groups.
func (rs *Rules) NeedGroups() bool { return rs.groups }

// Same reports whether p and q have the same rights under rs, as far as their ids tell.
func (rs *Rules) Same(p, q Peer) bool {
	return p.UID == q.UID && (!rs.groups || p.GID == q.GID && slices.Equal(p.Groups, q.Groups))
}

// Of returns the rights of p. Root and the daemon's own user may do everything. Without rules every
// other peer may read.
func (rs *Rules) Of(p Peer) *Rights {
	switch {
	case p.UID == 0 || p.UID == rs.self:
		return rightsOfOperators
	case len(rs.rules) == 0:
		return rightsOfReaders
	}
	r := &Rights{everywhere: verbsOfAll, anywhere: verbsOfAll}
	for _, rule := range rs.rules {
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
