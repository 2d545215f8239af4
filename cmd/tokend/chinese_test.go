package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLanguages holds that every page but the assurance exists in both languages, and that each
// begins with a link to the other.
func TestLanguages(t *testing.T) {
	all := pages(t)
	begins := func(page, link string) {
		if lines := strings.SplitN(readText(t, page), "\n", 4); len(lines) < 4 || lines[2] != link {
			t.Errorf("%s: the third line is not %s", page, link)
		}
	}
	for _, page := range all {
		dir, name := path.Split(page)
		switch {
		case name == "assurance.md":
		case dir == "docs/zh/":
			begins(page, "[English](../"+name+")")
			if !slices.Contains(all, "docs/"+name) {
				t.Errorf("docs lacks %s", name)
			}
		default:
			begins(page, "[中文](zh/"+name+")")
			if !slices.Contains(all, "docs/zh/"+name) {
				t.Errorf("docs/zh lacks %s", name)
			}
		}
	}
	for page, link := range map[string]string{"README.md": "[中文](README.zh-CN.md)", "README.zh-CN.md": "[English](README.md)"} {
		if before, _, ok := strings.Cut(readText(t, page), "\n\n"+link+"\n\n"); !ok || strings.Contains(before, "\n## ") {
			t.Errorf("%s does not begin with %s", page, link)
		}
	}
	if got := strings.Count(readText(t, "README.zh-CN.md"), "\n"); got > 200 {
		t.Errorf("README.zh-CN.md has %d lines, want at most 200", got)
	}
}

// chineseTexts returns the program's Chinese prose by place: pages without code, the summaries of
// English pages, and the strings in the code.
func chineseTexts(t *testing.T) map[string]string {
	t.Helper()
	code := regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	destination := regexp.MustCompile(`\]\([^)\s]+\)`)
	texts := map[string]string{}
	add := func(name, text string) {
		text = codeSpan.ReplaceAllString(code.ReplaceAllString(text, ""), "0")
		texts[name] = destination.ReplaceAllString(text, "]")
	}
	for _, page := range append(pages(t), "README.zh-CN.md") {
		if strings.Contains(page, "zh") {
			add(page, readText(t, page))
		}
	}
	for _, page := range []string{"SECURITY.md", "benchmarks/README.md"} {
		_, summary, ok := strings.Cut(readText(t, page), "\n## 中文摘要\n")
		if !ok {
			t.Errorf("%s has no Chinese summary", page)
		}
		summary, _, _ = strings.Cut(summary, "\n## ")
		add(page, summary)
	}
	span := regexp.MustCompile(`%s(\p{Han})`) // a verb that ends in a Chinese word
	option := regexp.MustCompile(`--[a-z-]+`)
	literals := 0
	var names []string
	for _, dir := range []string{"daemon/advice", "daemon/page", "fetchers", "cmd/tokend/demo", "cmd/tokend/doctor", "cmd/tokend"} {
		found, err := filepath.Glob(filepath.Join(repository, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && han.MatchString(text) {
					texts[files.Position(lit.Pos()).String()] = span.ReplaceAllString(codeSpan.ReplaceAllString(option.ReplaceAllString(text, "0"), "0"), "$1")
					literals++
				}
			}
			return true
		})
	}
	if literals < 100 {
		t.Errorf("only %d Chinese texts were found in the code", literals)
	}
	return texts
}

var (
	han = regexp.MustCompile(`\p{Han}`)
	// halfWidth matches a half-width mark that should be full-width.
	halfWidth = regexp.MustCompile(`\p{Han}[,;:()!?.]|[,;:()!?]\p{Han}|[A-Za-z][,;:!?] ?[A-Za-z]`)
	// blank matches a wrong space: beside a full-width mark, or as a line break in a word.
	blank = regexp.MustCompile(`[，。；：、！？（）“”] +[^ |\n]|[^ |\n] +[，。；：、！？（）”]|\p{Han}\n *\p{Han}|\p{Han} +\p{Han}`)
	// narrow matches a missing space between a Chinese and a Latin word.
	narrow = regexp.MustCompile(`\p{Han}[A-Za-z0-9]|[A-Za-z0-9%]\p{Han}`)
)

// TestChinesePunctuation holds that Chinese texts have full-width marks and correct spaces.
func TestChinesePunctuation(t *testing.T) {
	for name, text := range chineseTexts(t) {
		for what, pattern := range map[string]*regexp.Regexp{
			"half-width mark": halfWidth, "wrong blank": blank, "missing blank": narrow,
		} {
			for _, at := range pattern.FindAllStringIndex(text, -1) {
				t.Errorf("%s: %s in %q", name, what, text[at[0]:at[1]])
			}
		}
	}
}

// terms maps words to the word that the Chinese texts use instead: one thing has one name.
var terms = map[string]string{
	`回答|应答|答复`:              "响应",
	`额度`:                    "配额",
	`(^|[^权])凭证`:            "凭据, or 授权凭证 for a grant",
	`(^|[^.])\b[Ss]ocket\b`: "套接字",
	`\btokens?\b`:           "令牌, or Token for the signing token of callbacks",
}

// TestChineseTerms holds that the Chinese texts call each thing by its one name.
func TestChineseTerms(t *testing.T) {
	texts := chineseTexts(t)
	for word, instead := range terms {
		pattern := regexp.MustCompile(word)
		for name, text := range texts {
			for _, found := range pattern.FindAllString(text, -1) {
				t.Errorf("%s: %q, want %s", name, found, instead)
			}
		}
	}
}
