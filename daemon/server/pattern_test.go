package server

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"*", "official_account/wx0123/access_token", true},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"official_account/*", "official_account/wx0123/access_token", true},
		{"official_account/*", "official_account/", true},
		{"official_account/*", "official_account", false},
		{"official_account/*", "mini_program/wx0123/access_token", false},
		{"*/access_token", "work/ww0123/1000002/access_token", true},
		{"*/access_token", "work/ww0123/1000002/access_token2", false},
		{"work/*/access_token", "work/ww0123/1000002/access_token", true}, // * crosses '/'
		{"work/*/*/access_token", "work/ww0123/access_token", false},
		{"work/ww0123/1000002/access_token", "work/ww0123/1000002/access_token", true},
		{"work/ww0123/1000002/access_token", "work/ww0123/1000002/access_tokem", false},
		{"work/ww01*", "work/ww0123", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*bc", "abcbc", true},
		{"**", "x", true},
		{"WORK/*", "work/ww0123/1000002/access_token", false}, // names are case-sensitive
		{"work/?", "work/1", false},                           // ? is no wildcard
		{"work/[a]", "work/a", false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("match(%q, %q)\n got %v\nwant %v", tt.pattern, tt.name, got, tt.want)
		}
		if got := match(tt.pattern, []byte(tt.name)); got != tt.want {
			t.Errorf("match(%q, []byte(%q))\n got %v\nwant %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

// FuzzMatch compares match with the obvious, exponential definition of the same.
func FuzzMatch(f *testing.F) {
	f.Add("official_account/*", "official_account/wx/access_token")
	f.Add("a*b*c", "a-b-b-c")
	f.Add("**a", "aa")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Count(pattern, "*") > 4 || len(name) > 64 {
			return
		}
		if got, want := match(pattern, name), plainMatch(pattern, name); got != want {
			t.Errorf("match(%q, %q)\n got %v\nwant %v", pattern, name, got, want)
		}
	})
}

func plainMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] == '*' {
		return plainMatch(pattern[1:], name) || name != "" && plainMatch(pattern, name[1:])
	}
	return name != "" && name[0] == pattern[0] && plainMatch(pattern[1:], name[1:])
}
