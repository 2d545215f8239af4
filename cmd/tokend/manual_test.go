package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tokend/clientlib/manual"
)

// manualRunners are the tests that run the code in the manual: the file of each language's test,
// and its name. Each runs all blocks of its language, in all pages.
var manualRunners = map[string][2]string{
	"php":    {"clientlib/php/tests/ManualTest.php", "testBlock"},
	"csharp": {"cmd/tokend/csharp_test.go", "TestManualCSharp"},
	"go":     {"clientlib/sdktest/manual_go_test.go", "TestManualGo"},
	"sh":     {"clientlib/sdktest/manual_shell_test.go", "TestManualShell"},
	"sql":    {"clientlib/sdktest/manual_shell_test.go", "TestManualShell"},
	"toml":   {"cmd/tokend/pages_test.go", "TestPageConfigurations"},
}

// docsOf returns the documentation of a language: docs or docs/zh.
func docsOf(dir string) (pages []string, blocks []manual.Block, err error) {
	docs := os.DirFS(filepath.Join(repository, dir))
	if pages, err = manual.Pages(docs); err == nil {
		blocks, err = manual.Blocks(docs)
	}
	return pages, blocks, err
}

// TestManualRunners holds that each block of the manual has a language, that each language has a
// runner, and that the Chinese manual has the same pages and the same number of blocks. The runners
// take the English blocks. TestTranslations holds that the Chinese ones differ only in comments.
func TestManualRunners(t *testing.T) {
	counts := map[string]map[string]int{}
	used := map[string]bool{}
	var pages [][]string
	for _, dir := range []string{"docs", "docs/zh"} {
		names, blocks, err := docsOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, names)
		counts[dir] = map[string]int{}
		for _, b := range blocks {
			counts[dir][b.Page+" "+b.Language]++
			used[b.Language] = true
			if _, ok := manualRunners[b.Language]; !ok {
				t.Errorf("%s/%v: no test runs blocks in %q", dir, b, b.Language)
			}
		}
	}
	if !slices.Equal(pages[0], pages[1]) {
		t.Errorf("pages: docs has %q, docs/zh %q", pages[0], pages[1])
	}
	for key, n := range counts["docs"] {
		if counts["docs/zh"][key] != n {
			t.Errorf("%s: %d blocks in docs, %d in docs/zh", key, n, counts["docs/zh"][key])
		}
	}
	for language, test := range manualRunners {
		if !used[language] {
			continue
		}
		if !regexp.MustCompile(`\bfunc(tion)? ` + test[1] + `\(`).MatchString(readText(t, test[0])) {
			t.Errorf("%s has no test %s", test[0], test[1])
		}
	}
}

// manualSections are the sections of each page on an SDK, in this order, between others.
var manualSections = map[string][]string{
	"docs":    {"Installation", "Change", "Removal of old code", "Test", "Rollback", "Limits"},
	"docs/zh": {"安装", "修改", "删除旧代码", "验证", "回退", "限制"},
}

// TestManualSections holds that all pages of the manual have the same sections. The index and the
// comparison of whole programs have others.
func TestManualSections(t *testing.T) {
	for dir, want := range manualSections {
		pages, _, err := docsOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			if page == manual.Index || page == "programs.md" {
				continue
			}
			var got []string
			for line := range strings.Lines(readText(t, dir+"/"+page)) {
				if heading, ok := strings.CutPrefix(line, "## "); ok && slices.Contains(want, strings.TrimSpace(heading)) {
					got = append(got, strings.TrimSpace(heading))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s/%s: sections\n got %q\nwant %q", dir, page, got, want)
			}
		}
	}
}
