package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"tokend/protocol"
)

// These tests compare the documentation of tokend with tokend.

const repository = "../.."

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	codeSpan  = regexp.MustCompile("`[^`\n]+`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// blocks returns the code blocks of a text in language; "" means those without one.
func blocks(text, language string) []string {
	var found []string
	for _, m := range codeBlock.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

// documents are the texts that name commands and files.
var documents = []string{"README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}

// TestLinks holds that the target of every link exists, including its heading.
func TestLinks(t *testing.T) {
	seen := 0
	translated := strings.Contains(readText(t, "README.zh-CN.md"), "](docs/zh/configuration.md)")
	for _, name := range append(pages(t), documents...) {
		for _, m := range link.FindAllStringSubmatch(readText(t, name), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			target, heading, _ := strings.Cut(m[1], "#")
			if target = path.Join(path.Dir(name), target); strings.HasPrefix(m[1], "#") {
				target = name
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				// A page may be translated before its link targets, until the index is.
				if english := strings.Replace(target, "docs/zh/", "docs/", 1); english == target || translated || !slices.Contains(pages(t), english) {
					t.Errorf("%s: %v", name, err)
				}
			} else if heading != "" && !slices.Contains(anchors(readText(t, target)), heading) {
				t.Errorf("%s: %s has no heading %s", name, target, heading)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d links found: the pattern no longer matches", seen)
	}
}

// anchors returns the anchors of a text's headings.
func anchors(text string) (all []string) {
	text = codeBlock.ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-', c == '_', unicode.IsLetter(c), unicode.IsDigit(c):
				return unicode.ToLower(c)
			}
			return -1
		}, m[1]))
	}
	return all
}

// said matches a command line in a text.
var said = regexp.MustCompile(`(?m)(?:^|[\s"(|` + "`" + `$]|/usr/bin/|\./cmd/)tokend ((?:[a-z][a-z-]*)\b[^|` + "`" + `&)\n]*)`)

// notCommands are words after the name where it is the user, the group, or the subject of an error.
var notCommands = []string{"www-data", "app", "prometheus", "tokend.toml", "does"}

// TestCommandLines holds that every command and flag in the texts exists.
func TestCommandLines(t *testing.T) {
	root := newRoot(&environment{})
	commands := map[string]*cobra.Command{}
	for _, c := range root.Commands() {
		commands[c.Name()] = c
	}
	flag := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
	shown := func(text string) []string {
		var lines []string
		for _, b := range codeBlock.FindAllStringSubmatch(text, -1) {
			lines = append(lines, b[2])
		}
		return append(lines, codeSpan.FindAllString(codeBlock.ReplaceAllString(text, ""), -1)...)
	}
	texts := map[string][]string{}
	for _, name := range append(pages(t), documents...) {
		texts[name] = shown(readText(t, name))
	}
	for _, name := range []string{"systemd/tokend.service", "systemd/test-boot", "systemd/tokend.toml", "Makefile"} {
		for line := range strings.Lines(readText(t, name)) {
			texts[name] = append(texts[name], line)
		}
	}
	for _, b := range regexp.MustCompile(`(?s)\.Bd -literal.*?\n(.*?)\.Ed`).FindAllStringSubmatch(readText(t, "systemd/tokend.8"), -1) {
		texts["systemd/tokend.8"] = append(texts["systemd/tokend.8"], b[1])
	}
	seen := 0
	for name, lines := range texts {
		for _, line := range lines {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue // a comment is prose
			}
			for _, m := range said.FindAllStringSubmatch(line, -1) {
				word, rest, _ := strings.Cut(strings.TrimSpace(m[1]), " ")
				if slices.Contains(notCommands, word) {
					continue
				}
				c := commands[word]
				if c == nil {
					t.Errorf("%s: unknown command %q: tokend %s", name, word, m[1])
					continue
				}
				seen++
				for _, f := range flag.FindAllStringSubmatch(rest, -1) {
					long := strings.TrimLeft(f[1], "-")
					if c.Flags().Lookup(long) == nil && (len(long) > 1 || c.Flags().ShorthandLookup(long) == nil) {
						t.Errorf("%s: %s has no flag %s: tokend %s", name, word, f[1], m[1])
					}
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d command lines found: the pattern no longer matches", seen)
	}
}

// TestManual holds that the man page has exactly the program's commands and flags.
func TestManual(t *testing.T) {
	page := readText(t, "systemd/tokend.8")
	var commands, flags []string
	for _, c := range newRoot(&environment{}).Commands() {
		commands = append(commands, c.Name())
		for _, m := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(c.LocalFlags().FlagUsages(), -1) {
			flags = append(flags, m[1])
		}
	}
	flags = append(flags, "help")
	has := func(what string, pattern *regexp.Regexp, want []string) {
		var got []string
		for _, m := range pattern.FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("tokend.8 lacks the %s %s", what, name)
			}
		}
		for _, name := range got {
			if !slices.Contains(want, name) {
				t.Errorf("tokend.8 has the %s %s, tokend does not", what, name)
			}
		}
	}
	has("command", regexp.MustCompile(`(?m)^\.(?:It )?Cm ([a-z]+)`), commands)
	has("flag", regexp.MustCompile(`Fl -([a-z-]+)`), flags)
}

// TestOperations holds that docs/operations.md, in every language, has every command, and every
// code of the protocol with its exit status.
func TestOperations(t *testing.T) {
	var want []string
	for _, c := range newRoot(&environment{}).Commands() {
		want = append(want, c.Name())
	}
	slices.Sort(want)
	for _, page := range pages(t) {
		if filepath.Base(page) != "operations.md" {
			continue
		}
		text := readText(t, page)
		var got []string
		for _, m := range regexp.MustCompile("(?m)^\\| `tokend ([a-z]+)").FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: commands\n got %q\nwant %q", page, got, want)
		}
		for code, status := range byCode {
			if !regexp.MustCompile("(?m)^\\| " + strconv.Itoa(status) + " \\|.*`" + string(code) + "`").MatchString(text) {
				t.Errorf("%s: %s is not in the row of exit status %d", page, code, status)
			}
		}
	}
}

// TestManualConfiguration holds that the man page has exactly the tables and keys of the example,
// which has all of them.
func TestManualConfiguration(t *testing.T) {
	_, page, _ := strings.Cut(readText(t, "systemd/tokend.8"), "\n.Sh CONFIGURATION\n")
	page, _, _ = strings.Cut(page, "\n.Sh ")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\.(?:It |Pq )?Ic ([^{].*)`).FindAllStringSubmatch(page, -1) {
		for word := range strings.FieldsSeq(m[1]) {
			if regexp.MustCompile(`^\[*[a-z_][a-z_.]*\]*$`).MatchString(word) {
				named[word] = true
			}
		}
	}
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#?(\[+[a-z_.]+\]+|[a-z_]+ *=)`).FindAllStringSubmatch(readText(t, "systemd/tokend.toml"), -1) {
		shown[strings.TrimRight(m[1], " =")] = true
	}
	if len(shown) < 30 {
		t.Errorf("only %d keys found: the pattern no longer matches", len(shown))
	}
	for word := range shown {
		if !named[word] {
			t.Errorf("tokend.8 lacks %s", word)
		}
	}
	for word := range named {
		if !shown[word] {
			t.Errorf("tokend.8 has %s, tokend.toml does not", word)
		}
	}
}

// TestReadmeVerbs holds that the requests in the README are valid.
func TestReadmeVerbs(t *testing.T) {
	var seen int
	for _, b := range blocks(readText(t, "README.md"), "") {
		for line := range strings.Lines(b) {
			word, _, _ := strings.Cut(line, " ")
			if _, ok := protocol.ParseVerb(word); !ok {
				t.Errorf("%q is not a verb", word)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("the README has no requests")
	}
}
