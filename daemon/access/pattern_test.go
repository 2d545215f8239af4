package access

import (
	"strings"
	"testing"

	"tokend/protocol"
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
		{"a*b*c", "abc", true},
		{"a*b*b*c", "a-b-c", false}, // a letter of the name matches one letter of the pattern only
		{"ab*ba", "aba", false},     // head and tail must not overlap
		{"ab*ba", "abba", true},
		{"a*bc", "abcbc", true},
		{"**", "x", true},
		{"WORK/*", "work/ww0123/1000002/access_token", false}, // names are case-sensitive
		{"work/?", "work/1", false},                           // ? is not a wildcard
		{"work/[a]", "work/a", false},
	}
	for _, tt := range tests {
		p := newPattern(tt.pattern)
		if got := matches(&p, tt.name); got != tt.want {
			t.Errorf("%q matches %q\n got %v\nwant %v", tt.pattern, tt.name, got, tt.want)
		}
		if got := matches(&p, []byte(tt.name)); got != tt.want {
			t.Errorf("%q matches []byte(%q)\n got %v\nwant %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

// FuzzMatch compares matches with a simple, exponential implementation.
func FuzzMatch(f *testing.F) {
	f.Add("official_account/*", "official_account/wx/access_token")
	f.Add("a*b*c", "a-b-b-c")
	f.Add("**a", "aa")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Count(pattern, "*") > 4 || len(name) > 64 {
			return
		}
		p := newPattern(pattern)
		if got, want := matches(&p, name), plainMatch(pattern, name); got != want {
			t.Errorf("%q matches %q\n got %v\nwant %v", pattern, name, got, want)
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

// BenchmarkMay measures what access rules add to a request on a host with several users. The last
// rule matches.
func BenchmarkMay(b *testing.B) {
	rules := []Rule{
		{UIDs: []uint32{1001}, Names: []string{"work/*", "official_account/*/jsapi_ticket"}, Verbs: []string{"GET", "REJECT"}},
		{UIDs: []uint32{1001}, Names: []string{"mini_program/*"}, Verbs: []string{"GET", "REJECT"}},
		{UIDs: []uint32{1001}, Names: []string{"open_platform/*/access_token"}, Verbs: []string{"GET", "REJECT"}},
	}
	r := Compile(990, rules).Of(Peer{UID: 1001})
	name := []byte("open_platform/wxbenchplatform0/wx9e3779b97f4a7c15/access_token")
	b.ReportAllocs()
	for b.Loop() {
		if granted, _ := r.May(protocol.VerbGet, name); !granted {
			b.Fatal("not granted")
		}
	}
}
