package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTextsInChinese holds that every text has a translation with the same verbs, and that no
// translation is left over.
func TestTextsInChinese(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`\.say\(("(?:[^"\\]|\\.)*")`)
	used := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllStringSubmatch(string(b), -1) {
			text, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			used[text] = true
			if strings.Count(chinese[text], "%") != strings.Count(text, "%") || chinese[text] == "" {
				t.Errorf("%s: %q is %q", name, text, chinese[text])
			}
		}
	}
	for text := range chinese {
		if !used[text] {
			t.Errorf("the translation of %q is not used", text)
		}
	}
}
