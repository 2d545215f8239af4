package protocol

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	long := strings.Repeat("a", MaxSegment)
	for _, tt := range []struct {
		about string
		name  string
		want  bool
	}{
		{"three segments", "work/ww0123/access_token", true},
		{"four segments", "open_platform/wx1/wx2/access_token", true},
		{"five segments", "work/ww1/1/ww2/access_token", true},
		{"every kind of character", "aZ09._@-/b/c", true},
		{"a segment of 64", long + "/b/c", true},
		{"dots alone", "../../..", true}, // a name is not a file path
		{"longest name", long + "/" + long + "/" + long + "/" + long[:60], true},
		{"256 bytes", long + "/" + long + "/" + long + "/" + long[:61], false},
		{"longest name of five", "work/" + long + "/" + long + "/" + long + "/" + long[:55], true},
		{"256 bytes of five", "work/" + long + "/" + long + "/" + long + "/" + long[:56], false},
		{"a fourth segment of 65", "a/b/c/" + long + "a/e", false},
		{"an escaped slash", "work/ww1/1%2Fww2/access_token", false},
		{"a segment of 65", long + "a/b/c", false},
		{"a last segment of 65", "a/b/" + long + "a", false},
		{"empty", "", false},
		{"two segments", "a/b", false},
		{"six segments", "a/b/c/d/e/f", false},
		{"an empty last of five", "a/b/c/d/", false},
		{"an empty fourth segment", "a/b/c//e", false},
		{"an empty first segment", "/b/c", false},
		{"an empty middle segment", "a//c", false},
		{"an empty last segment", "a/b/", false},
		{"a space", "a/b /c", false},
		{"a NUL", "a/b\x00/c", false},
		{"a newline", "a/b/c\n", false},
		{"a pattern", "a/*/c", false},
		{"not ASCII", "a/微信/c", false},
	} {
		if got := ValidName(tt.name); got != tt.want {
			t.Errorf("%s: ValidName = %v", tt.about, got)
		}
		if got := ValidName([]byte(tt.name)); got != tt.want {
			t.Errorf("%s: ValidName of bytes = %v", tt.about, got)
		}
	}
}

func TestValidOwner(t *testing.T) {
	long := strings.Repeat("a", MaxSegment)
	for _, tt := range []struct {
		owner string
		want  bool
	}{
		{"open_platform/wxcomponent", true},
		{long + "/" + long, true},
		{"", false},
		{"open_platform", false},
		{"open_platform/", false},
		{"/wxcomponent", false},
		{"open_platform/wxcomponent/", false},
		{"open_platform/wxcomponent/wxauthorizer", false},
		{"open_platform/*", false},
		{"a/" + long + "a", false},
	} {
		if got := ValidOwner(tt.owner); got != tt.want {
			t.Errorf("ValidOwner(%q) = %v", tt.owner, got)
		}
	}
}

func TestValidPrefix(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		want   bool
	}{
		{"", true},
		{"w", true},
		{"work/", true},
		{"/", true},
		{"a/b/c/d/e/f", true},
		{strings.Repeat("a", MaxName), true},
		{strings.Repeat("a", MaxName+1), false},
		{"work/*", false},
		{"work ", false},
	} {
		if got := ValidPrefix(tt.prefix); got != tt.want {
			t.Errorf("ValidPrefix(%q) = %v", tt.prefix, got)
		}
	}
}

func TestValidValueAndURL(t *testing.T) {
	for _, tt := range []struct {
		about      string
		s          string
		value, url bool
	}{
		{"a ticket", "ticket@@@abc-_~=", true, true},
		{"the longest", strings.Repeat("v", MaxValue), true, true},
		{"too long", strings.Repeat("v", MaxValue+1), false, false},
		{"empty", "", false, false},
		{"a space", "a b", false, false},
		{"a tab", "a\tb", false, false},
		{"DEL", "a\x7f", false, false},
		{"Chinese", "https://example.com/微信", false, true},
		{"not UTF-8", "https://example.com/\xff", false, false},
	} {
		if got := ValidValue(tt.s); got != tt.value {
			t.Errorf("%s: ValidValue = %v", tt.about, got)
		}
		if got := ValidURL(tt.s); got != tt.url {
			t.Errorf("%s: ValidURL = %v", tt.about, got)
		}
	}
}
