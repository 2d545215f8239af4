package main

import (
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// passage is a run of lines that are read as one text.
type passage struct {
	first   int      // the first line's number
	lines   []string // as in the file
	prose   []string // the same without comment marks and code
	wrapped bool     // the lines have a limit
}

// text joins the prose, so that a phrase is found across a line break.
func (p passage) text() string { return strings.Join(p.prose, " ") }

// lineOf returns the number of the line that has the byte at of text.
func (p passage) lineOf(at int) int {
	for i, s := range p.prose {
		if at -= len(s) + 1; at < 0 {
			return p.first + i
		}
	}
	return p.first
}

// isText reports whether a file holds prose. Answers of WeChat's and recorded figures do not.
func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".md", ".8", ".toml", ".want", ".txtar", ".txt", ".html", ".css", ".c", ".php", ".yml", ".service", ".socket":
		return name != list && name != ".ci/words/words_test.go"
	case "":
		return name != "LICENSE" && !strings.Contains(name, "testdata/fuzz/")
	}
	return false
}

// passages returns the prose of a file.
func passages(name string, content []byte) []passage {
	lines := strings.Split(string(content), "\n")
	switch path.Ext(name) {
	case ".go":
		return goPassages(content, lines)
	case ".md":
		return markdown(lines)
	}
	return plain(lines)
}

// goPassages returns comments and the strings that hold more than a word. Comments on consecutive
// lines are one passage.
func goPassages(content []byte, lines []string) (all []passage) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(content))
	s.Init(file, content, nil, scanner.ScanComments)
	output := false
	for {
		pos, tok, literal := s.Scan()
		n := file.Line(pos)
		switch {
		case tok == token.EOF:
			return all
		case tok == token.STRING && strings.Contains(literal, " "):
			text := strings.Split(literal, "\n")
			all = append(all, passage{first: n, lines: text, prose: text})
		case tok == token.COMMENT && !strings.HasPrefix(literal, "//go:"):
			whole := strings.HasPrefix(strings.TrimLeft(lines[n-1], "\t "), "//")
			line := lines[n-1]
			text := strings.TrimPrefix(literal, "//")
			if strings.HasPrefix(text, "\t") {
				line, text = "", "" // code, or a table
			}
			text = strings.TrimSpace(text)
			last := len(all) - 1
			follows := whole && last >= 0 && all[last].wrapped && all[last].first+len(all[last].lines) == n
			output = text == "Output:" || output && follows
			if output {
				line, text = "", "" // of an example
			}
			if follows {
				all[last].lines = append(all[last].lines, line)
				all[last].prose = append(all[last].prose, text)
				continue
			}
			all = append(all, passage{first: n, lines: []string{line}, prose: []string{text}, wrapped: whole})
		}
	}
}

var codeSpan = regexp.MustCompile("`[^`]*`")

// markdown returns paragraphs and rows of tables, without code.
func markdown(lines []string) (all []passage) {
	code, open := false, false
	for i, line := range lines {
		if fence := strings.HasPrefix(strings.TrimLeft(line, " "), "```"); fence {
			code, open = !code, false
			continue
		}
		if code || line == "" || strings.HasPrefix(line, "    ") {
			open = false
			continue
		}
		table := strings.HasPrefix(line, "|")
		if !open || table {
			all = append(all, passage{first: i + 1, wrapped: !table})
		}
		p := &all[len(all)-1]
		p.lines = append(p.lines, line)
		p.prose = append(p.prose, strings.TrimSpace(codeSpan.ReplaceAllString(line, "``")))
		open = !table
	}
	return all
}

// plain returns the lines of any other text. Those that begin with # are comments.
func plain(lines []string) (all []passage) {
	var last string
	for i, line := range lines {
		mark := ""
		if strings.HasPrefix(strings.TrimLeft(line, "\t "), "# ") {
			mark = "#"
		}
		if line == "" || i == 0 || mark != last || lines[i-1] == "" {
			all = append(all, passage{first: i + 1, wrapped: mark != ""})
		}
		last = mark
		p := &all[len(all)-1]
		p.lines = append(p.lines, line)
		p.prose = append(p.prose, strings.TrimSpace(strings.TrimPrefix(strings.TrimLeft(line, "\t "), mark)))
	}
	return all
}
