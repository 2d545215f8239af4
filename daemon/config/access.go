package config

import (
	"cmp"
	"errors"
	"os/user"
	"slices"
	"strings"
)

// verbs are the protocol's verbs. See docs/protocol.md.
var verbs = []string{
	"PING", "VERSION", "GET", "REJECT", "REFRESH", "PUT", "EXCHANGE", "PUSH", "IMPORT", "SIGN",
	"LIST", "STATUS", "HISTORY", "STATS", "WATCH", "BACKUP", "RELOAD", "QUIT",
}

// ungrantable are the verbs that no rule may grant, with the reason: a rule's name patterns cannot
// restrict them.
var ungrantable = map[string]string{"BACKUP": "a backup contains every credential", "RELOAD": "a reload changes the rules"}

// grantable returns the verbs that a rule can usefully contain: not the ungrantable ones, and not
// those that are always allowed.
func grantable() []string {
	return slices.DeleteFunc(slices.Clone(verbs), func(v string) bool {
		_, never := ungrantable[v]
		return never || v == "PING" || v == "VERSION" || v == "QUIT"
	})
}

func (t *table) access() []Access {
	var rules []Access
	_, tables := t.tables("", "access")
	for t := range tables {
		rules = append(rules, Access{
			UIDs:  t.ids("users", "user", t.env.User),
			GIDs:  t.ids("groups", "group", t.env.Group),
			Names: t.patterns("names"),
			Verbs: t.verbs("verbs"),
			Line:  t.at(),
		})
		if t.value("users") == nil && t.value("groups") == nil {
			t.reportf(t.at(), "%susers or groups is missing", t.title)
		}
		t.done()
	}
	return rules
}

// ids returns the ids of an optional array of users or groups. An element of digits that is not a
// name is an id, for hosts whose user database lacks the user.
func (t *table) ids(key, what string, lookup func(string) (uint32, error)) []uint32 {
	names, lines := t.texts(key, false)
	var out []uint32
	for i, name := range names {
		n, err := lookup(name)
		t.pace.rest()
		if err != nil {
			if d, e := id(name); e == nil {
				n, err = d, nil
			}
		}
		switch {
		case name == "":
			t.reportf(lines[i], "%s%s: an empty name", t.title, key)
		case err == nil:
			out = append(out, n)
		case unknown(err):
			t.reportf(lines[i], "%s%s: unknown %s %q", t.title, key, what, clip(name))
		default:
			t.reportf(lines[i], "%s%s: %s %q: %v", t.title, key, what, clip(name), err)
		}
	}
	return out
}

func unknown(err error) bool {
	_, u := errors.AsType[user.UnknownUserError](err)
	_, g := errors.AsType[user.UnknownGroupError](err)
	return u || g
}

// patterns returns a required array of name patterns.
func (t *table) patterns(key string) []string {
	patterns, lines := t.texts(key, true)
	for i, p := range patterns {
		if p == "" || len(p) > 255 || strings.ContainsFunc(p, func(c rune) bool {
			return c > '~' || !nameByte(byte(c)) && c != '/' && c != '*'
		}) {
			t.reportf(lines[i], "%s%s: %q must be a name, in which * matches any characters", t.title, key, clip(p))
		} else if why := futile(p); why != "" {
			t.warnf(lines[i], "%s%s: %q matches no name%s", t.title, key, clip(p), why)
		}
	}
	return patterns
}

// families are the first segments of credential names, as listed in docs/configuration.md.
var families = []string{"official_account", "mini_program", "open_platform", "work", "open_work"}

// futile returns why no credential's name can match pattern, or "" if one can.
func futile(pattern string) string {
	literal, _, star := strings.Cut(pattern, "*")
	family, _, whole := strings.Cut(literal, "/")
	switch {
	case whole && !slices.Contains(families, family),
		!whole && star && !slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(f, literal) }):
		return didYouMean(family, families)
	case !star && strings.Count(pattern, "/") < 2:
		return ": a pattern matches whole names; use " + strings.TrimSuffix(pattern, "/") + "/*"
	}
	return ""
}

// verbs returns a required array of the protocol's verbs, in capitals.
func (t *table) verbs(key string) []string {
	words, lines := t.texts(key, true)
	for i, w := range words {
		words[i] = strings.ToUpper(w)
		if !slices.Contains(verbs, words[i]) {
			advice := cmp.Or(didYouMean(words[i], grantable()), ": the verbs are "+strings.Join(grantable(), " "))
			t.reportf(lines[i], "%s%s: unknown verb %q%s", t.title, key, clip(w), advice)
		}
		if why, ok := ungrantable[words[i]]; ok {
			t.reportf(lines[i], "%s%s: %s cannot be granted: %s; only root and tokend's own user may use it", t.title, key, words[i], why)
		}
	}
	return words
}
