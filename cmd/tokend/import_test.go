package main

import (
	"errors"
	"strings"
	"testing"
)

// TestImportHint holds that the hint continues an import at the failed page, unless customers are
// missing.
func TestImportHint(t *testing.T) {
	for _, tc := range []struct {
		name          string
		offset, total int
		want          string
	}{
		{"nothing imported", 0, 0, ""},
		{"the first of many pages", 0, 1200, ""},
		{"a page in the middle", 500, 1200, "tokend import open_platform/wxc --offset 500"},
		{"from an offset", 500, 0, "tokend import open_platform/wxc --offset 500"},
		{"the last page", 1000, 1200, "tokend import open_platform/wxc"},
	} {
		e := &importError{errors.New("no"), "open_platform/wxc", tc.offset, tc.total}
		if got := e.hint(); !strings.HasSuffix(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}
