package alias

import (
	"regexp"
	"slices"
	"strings"
)

// shape is the names of a family with one number of segments, and the words that they end with.
type shape struct {
	family   string
	segments int
	words    []string
}

// shapes are those of all credentials, see docs/configuration.md.
var shapes = []shape{
	{"official_account", 3, []string{"access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket"}},
	{"mini_program", 3, []string{"access_token"}},
	{"open_platform", 3, []string{"component_verify_ticket", "component_access_token", "pre_auth_code"}},
	{"open_platform", 4, []string{"access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket", "refresh_token"}},
	{"work", 4, []string{"access_token", "jsapi_ticket", "agent_config_ticket"}},
	{"work", 5, []string{"access_token"}},
	{"open_work", 3, []string{"provider_access_token", "suite_ticket", "suite_access_token", "pre_auth_code"}},
	{"open_work", 4, []string{"access_token", "jsapi_ticket", "agent_config_ticket", "permanent_code"}},
}

// IsName reports whether key has the form of a credential's name. Such a key is never an alias. It
// does not allocate.
func IsName(key []byte) bool {
	slash, segments, last := -1, 1, 0
	for i, c := range key {
		if c == '/' {
			if slash < 0 {
				slash = i
			}
			segments, last = segments+1, i+1
		}
	}
	if slash < 0 {
		return false
	}
	for i := range shapes {
		s := &shapes[i]
		if segments == s.segments && string(key[:slash]) == s.family && slices.ContainsFunc(s.words, func(w string) bool { return string(key[last:]) == w }) {
			return true
		}
	}
	return false
}

// MayName reports whether a name can begin with text, or text begins with all of a family.
func MayName(text string) bool {
	return slices.ContainsFunc(shapes, func(s shape) bool {
		family := s.family + "/"
		return strings.HasPrefix(family, text) || strings.HasPrefix(text, family)
	})
}

// Check returns the mistakes of a, by key of the configuration: "key", "name" or "value".
func Check(a Alias) map[string]string {
	mistakes := map[string]string{}
	note := func(key, mistake string) bool {
		if mistake != "" {
			mistakes[key] = mistake
		}
		return mistake == ""
	}
	key, mistake := parseKey(a.Key)
	valid := note("key", mistake)
	if valid && !key.star && canBeName(key.pieces, alwaysName) {
		note("key", "is the name of a credential, which needs no alias")
	}
	if valid {
		words := key.words()
		if words == nil {
			words = []string{}
		}
		name, mistake := parsePieces(a.Name, words)
		switch {
		case !note("name", mistake):
		case !canBeName(name, sometimesName):
			note("name", "can never be the name of a credential")
		}
	}
	_, mistake = parseForm(a.Form)
	note("value", mistake)
	return mistakes
}

// Same returns key in a form that is the same for two keys that match the same.
func Same(key string) string { return placeholder.ReplaceAllString(key, "{}") }

var placeholder = regexp.MustCompile(`\{[a-z_]*\}`)

// How placeholders are compared with the family and the last word of a name.
const (
	alwaysName    = "\x00" // they equal neither: no key matches
	sometimesName = `[A-Za-z0-9._@-]{1,64}`
)

// canBeName reports whether pieces can be the name of a credential. A placeholder of the family or
// of the last word matches what the regular expression placeholder does.
func canBeName(pieces []piece, placeholder string) bool {
	var pattern, shortest strings.Builder
	for _, p := range pieces {
		if p.word == none {
			pattern.WriteString(regexp.QuoteMeta(p.text))
			shortest.WriteString(p.text)
		} else {
			pattern.WriteString(placeholder)
			shortest.WriteByte('x')
		}
	}
	if shortest.Len() > maxKey || slices.ContainsFunc(strings.Split(shortest.String(), "/"), func(s string) bool { return !isSegment(s) }) {
		return false
	}
	segments := strings.Split(pattern.String(), "/")
	family := regexp.MustCompile("^" + segments[0] + "$")
	last := regexp.MustCompile("^" + segments[len(segments)-1] + "$")
	return slices.ContainsFunc(shapes, func(s shape) bool {
		return len(segments) == s.segments && family.MatchString(s.family) && slices.ContainsFunc(s.words, last.MatchString)
	})
}

// isSegment reports whether s is a segment of a name.
func isSegment(s string) bool {
	for i := range len(s) {
		if !nameByte[s[i]] {
			return false
		}
	}
	return s != "" && len(s) <= maxSegment
}
