package manual

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Index is the page with the table of all other pages.
const Index = "clients.md"

// A Block is a code block of a page.
type Block struct {
	Page     string // such as easywechat.md
	Line     int    // of the first line of code
	Language string // such as php
	Text     string

	// Before is whether the code is from a program that does not use tokend yet: the line above it
	// ends in "before:".
	Before bool
}

// String returns the place of the block, such as easywechat.md:40.
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

var tableLink = regexp.MustCompile(`\]\(([a-z-]+\.md)(?:#[^)]*)?\)`)

// Pages returns the names of the pages in a directory such as docs, with the index first.
func Pages(docs fs.FS) ([]string, error) {
	index, err := fs.ReadFile(docs, Index)
	if err != nil {
		return nil, err
	}
	pages := []string{Index}
	for line := range strings.Lines(string(index)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range tableLink.FindAllStringSubmatch(line, -1) {
			if !slices.Contains(pages, m[1]) {
				pages = append(pages, m[1])
			}
		}
	}
	return pages, nil
}

// Blocks returns the blocks of all pages, in order. A language limits them to that language.
func Blocks(docs fs.FS, language ...string) ([]Block, error) {
	pages, err := Pages(docs)
	if err != nil {
		return nil, err
	}
	var all []Block
	for _, page := range pages {
		text, err := fs.ReadFile(docs, page)
		if err != nil {
			return nil, err
		}
		blocks, err := parse(page, string(text))
		if err != nil {
			return nil, err
		}
		for _, b := range blocks {
			if len(language) == 0 || slices.Contains(language, b.Language) {
				all = append(all, b)
			}
		}
	}
	return all, nil
}

// parse returns the blocks of a page.
func parse(page, text string) (all []Block, err error) {
	above, line, inside := "", 0, false
	for s := range strings.Lines(text) {
		line++
		fence, isFence := strings.CutPrefix(strings.TrimSpace(s), "```")
		switch {
		case isFence && !inside:
			inside = true
			all = append(all, Block{
				Page: page, Line: line + 1, Language: fence,
				Before: strings.HasSuffix(strings.ToLower(above), "before:"),
			})
		case isFence && fence == "":
			inside, above = false, ""
		case inside:
			all[len(all)-1].Text += s
		case strings.TrimSpace(s) != "":
			above = strings.TrimSpace(s)
		}
	}
	if inside {
		return nil, fmt.Errorf("%s: the last block has no end", page)
	}
	return all, nil
}
