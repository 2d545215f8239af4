package main

import (
	"os"
	"strings"
	"testing"
)

const testRules = "ban\tanew\tagain\n" +
	"ban\tlies in\tis in\n" +
	"ban\tpegs?\tattachment\n" +
	"allow\tallowed.go\ta tent peg\ta real one\n" +
	"later\tlater\n" +
	"later\tpart/*.go\n"

func complaints(t *testing.T, path, content string) []string {
	t.Helper()
	r, err := parseRules(testRules)
	if err != nil {
		t.Fatal(err)
	}
	r.check(path, []byte(content))
	return r.complaints
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("word ", 20) + "word" // 104 characters
	const pkg = "package p\n\n"
	for _, tt := range []struct{ about, path, content, want string }{
		{"a banned word in a comment", "a.go", pkg + "// Start anew.\n", `a.go:3: "anew": again`},
		{"after code", "a.go", pkg + "var a int // made anew\n", `a.go:3: "anew": again`},
		{"in a string", "a.go", pkg + "var a = \"start anew\"\n", `a.go:3: "anew": again`},
		{"in capitals", "a.go", pkg + "// Anew.\n", `a.go:3: "Anew": again`},
		{"across lines", "a.go", pkg + "// a\n// value lies\n// in memory\n", `a.go:4: "lies in": is in`},
		{"in Markdown", "a.md", "a value lies\nin memory\n", `a.md:1: "lies in": is in`},
		{"in a table", "a.md", "| a | anew |\n", `a.md:1: "anew": again`},
		{"in a script", ".ci/run", "set -e\necho start anew\n", `.ci/run:2: "anew": again`},
		{"in the manual", "a.8", ".Sh A\nstart anew\n", `a.8:2: "anew": again`},
		{"a long comment", "a.go", pkg + "// " + long + "\n", "a.go:3: 107 characters: wrap at 100"},
		{"a long comment, indented", "a.go", pkg + "func f() {\n\t// " + long + "\n}\n", "a.go:4: 111 characters: wrap at 100"},
		{"a long line of Markdown", "a.md", long + "\n", "a.md:1: 104 characters: wrap at 100"},
		{"a long comment in a script", ".ci/run", "# " + long + "\n", ".ci/run:1: 106 characters: wrap at 100"},

		{"part of a word", "a.go", pkg + "// canewood\n", ""},
		{"an identifier", "a.go", pkg + "var anew int\n", ""},
		{"a string of one word", "a.go", pkg + "var a = \"anew\"\n", ""},
		{"across paragraphs", "a.md", "a value lies\n\nin memory\n", ""},
		{"in code", "a.md", "```text\nanew\n```\n", ""},
		{"in a code span", "a.md", "the method `anew`\n", ""},
		{"code in a comment", "a.go", pkg + "// So:\n//\n//\tanew " + long + "\n", ""},
		{"an example's output", "a.go", pkg + "// Output:\n// anew " + long + "\n", ""},
		{"a long line of code", "a.go", pkg + "var a = \"" + long + "\"\n", ""},
		{"a long row", "a.md", "| " + long + " |\n", ""},
		{"a long link", "a.md", "see [this](page.md) " + long + "\n", ""},
		{"a long address", "a.go", pkg + "// See https://example.com/ " + long + "\n", ""},
		{"characters, not bytes", "a.go", pkg + "// " + strings.Repeat("é é ", 20) + "\n", ""},
		{"an exception", "allowed.go", pkg + "// It is a tent peg.\n", ""},
		{"beside an exception", "allowed.go", pkg + "// A peg, and a tent peg.\n", `allowed.go:3: "peg": attachment`},
		{"the same elsewhere", "a.go", pkg + "// It is a tent peg.\n", `a.go:3: "peg": attachment`},
		{"later", "later/a.go", pkg + "// Start anew.\n", ""},
		{"a pattern for later", "part/a.go", pkg + "// Start anew.\n", ""},
		{"not in the pattern", "part/sub/a.go", pkg + "// Start anew.\n", `part/sub/a.go:3: "anew": again`},
		{"not later", "later.go", pkg + "// Start anew.\n", `later.go:3: "anew": again`},
	} {
		if got := strings.Join(complaints(t, tt.path, tt.content), "\n"); got != tt.want {
			t.Errorf("%s:\n got: %s\nwant: %s", tt.about, got, tt.want)
		}
	}
}

func TestUnusedRules(t *testing.T) {
	r, err := parseRules(testRules)
	if err != nil {
		t.Fatal(err)
	}
	want := list + `: allowed.go does not need this: "a tent peg"` + "\n" + list + ": no file is in later\n" + list + ": no file is in part/*.go"
	if got := strings.Join(r.unused(), "\n"); got != want {
		t.Errorf("\n got: %s\nwant: %s", got, want)
	}
	r.check("allowed.go", []byte("package p // a tent peg\n"))
	r.check("later/a.md", []byte("anew\n"))
	r.check("part/a.go", []byte("package p\n"))
	if got := append(r.unused(), r.complaints...); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestRules(t *testing.T) {
	for _, text := range []string{"", "ban\tanew\n", "ban\t(\tx\n", "forbid\tanew\tagain\n", "ban\tanew\tagain\nallow\ta.go\tanew\n", "ban\tanew\tagain\nlater\t[\n"} {
		if _, err := parseRules(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestBans holds that words.txt bans what it should, and no phrase that is good English.
func TestBans(t *testing.T) {
	text, err := os.ReadFile("words.txt")
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseRules(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"what an operator can mend", "once it is put right", "opened anew", "asked once more", "retried again and again",
		"while WeChat is away", "values at hand", "what is there", "the key stands in a file", "the file lies in a directory",
		"a client goes by the errcode", "the caller is told", "the daemon says so", "a value of no use", "reads go on",
		"all come to nothing", "hands in a value", "Meanwhile, reads", "the other way in", "the door", "in the room of the socket",
		"a peg", "the lane", "the roll", "its deeds", "the sweep", "sows values", "its past", "waits its turn", "waits in line",
		"whoever reads", "who asks", "that which is stored", "one that is stored",
	} {
		if !r.any.MatchString(bad) {
			t.Errorf("%q is not banned", bad)
		}
	}
	for _, good := range []string{
		"each in turn", "turns into", "turn the request into a call", "users take turns", "a line of text", "the line is too long",
		"past its end", "in the past", "right away", "room for one more", "no room", "stands for any characters", "a stand-in",
		"going back", "roll back", "a way in which WeChat answers", "one of those that", "there is",
	} {
		if found := r.any.FindString(good); found != "" {
			t.Errorf("%q is banned for %q", good, found)
		}
	}
}
