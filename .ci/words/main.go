// Words checks the prose of what git tracks: comments and strings of Go, and the whole text of
// Markdown, scripts and other texts. It fails on
//
//   - words that words.txt bans,
//   - comments and Markdown prose of more than 100 characters a line, and
//   - entries of words.txt that have no effect.
//
// It runs in the root of the repository:
//
//	go run ./.ci/words
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const list = ".ci/words/words.txt"

func main() {
	complaints, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	for _, c := range complaints {
		fmt.Println(c)
	}
	if len(complaints) > 0 {
		os.Exit(1)
	}
}

func run() ([]string, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	rules, err := parseRules(string(text))
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	for _, path := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if !isText(path) {
			continue
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			return nil, err
		}
		rules.check(path, bytes.TrimSuffix(content, []byte("\n")))
	}
	return append(rules.complaints, rules.unused()...), nil
}
