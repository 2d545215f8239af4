package protocol_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"tokend/protocol"
	"tokend/protocol/conversation"
)

// conversations loads all conversations.
func conversations(t *testing.T) []conversation.Conversation {
	t.Helper()
	all, err := conversation.Load(os.DirFS("../testdata/conversations"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestConversationsParse holds that this package parses every line of every conversation, or
// refuses it with the error that the conversation shows.
func TestConversationsParse(t *testing.T) {
	for _, c := range conversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			exchanges, err := c.Exchanges()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range exchanges {
				checkExchange(t, x)
			}
		})
	}
}

func checkExchange(t *testing.T, x conversation.Exchange) {
	t.Helper()
	line, _, err := protocol.CutLine([]byte(x.Request + "\n"))
	if err != nil {
		t.Fatalf("line %d: %v", x.Line, err)
	}
	var r protocol.Request
	if err := r.Parse(line); err != nil {
		got := string(protocol.AppendError(nil, err.(*protocol.Error)))
		if want := x.Reply[0] + "\n"; got != want {
			t.Errorf("line %d:\n got: %q\nwant: %q", x.Line, got, want)
		}
		return
	}
	fields, err := protocol.ParseReply(x.Reply[0])
	if err != nil {
		if _, ok := err.(*protocol.Error); !ok {
			t.Errorf("line %d: %v", x.Line, err)
		}
		return
	}
	if err := checkOK(r.Verb, fields, x.Reply[1:]); err != nil {
		t.Errorf("line %d: %v", x.Line, err)
	}
}

func checkOK(verb protocol.Verb, fields string, lines []string) error {
	var err error
	count := 0
	switch verb {
	case protocol.VerbGet, protocol.VerbReject, protocol.VerbRefresh:
		_, _, err = protocol.ParseValue(fields)
	case protocol.VerbExchange:
		_, err = protocol.ParseCustomer(fields)
	case protocol.VerbImport:
		_, err = protocol.ParseImportPage(fields)
	case protocol.VerbSign:
		_, err = protocol.ParseSignature(fields)
	case protocol.VerbVersion:
		_, err = protocol.ParseVersion(fields)
	case protocol.VerbList, protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats, protocol.VerbWatch, protocol.VerbBackup:
		count, err = protocol.ParseCount(fields)
	}
	for i, line := range lines {
		if err != nil {
			return err
		}
		switch verb {
		case protocol.VerbStatus, protocol.VerbStats:
			_, _, err = protocol.ParsePair(line)
		case protocol.VerbHistory:
			_, err = protocol.ParseAttempt(line)
		case protocol.VerbBackup:
			_, err = protocol.ParsePiece(line)
		case protocol.VerbList:
			_, err = protocol.ParseListing(line)
		case protocol.VerbWatch:
			if i < count {
				_, err = protocol.ParseListing(line)
			} else {
				_, err = protocol.ParseChanged(line)
			}
		}
	}
	return err
}

// TestConversationsCover holds that each verb and each code is in at least one conversation.
func TestConversationsCover(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range conversations(t) {
		exchanges, err := c.Exchanges()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range exchanges {
			word, _, _ := strings.Cut(strings.ToUpper(x.Request), " ")
			seen[word] = true
			if f := strings.Split(x.Reply[0], " "); f[0] == "ERR" {
				seen[f[1]] = true
			}
		}
	}
	for _, v := range protocol.Verbs() {
		if !seen[v.String()] {
			t.Errorf("no conversation has a request %s", v)
		}
	}
	for _, c := range protocol.Codes() {
		if !seen[string(c)] {
			t.Errorf("no conversation has an error %s", c)
		}
	}
}

// TestSpecificationConversations holds that the specification shows every conversation word for
// word, in each language.
func TestSpecificationConversations(t *testing.T) {
	for _, page := range []string{"../docs/protocol.md", "../docs/zh/protocol.md"} {
		text, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(page, "/zh/") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range conversations(t) {
			if !strings.Contains(string(text), "\n```text\n"+strings.TrimSuffix(c.Text, "\n")+"\n```\n") {
				t.Errorf("%s does not show %s.txt word for word", page, c.Name)
			}
		}
	}
}

// TestSpecificationSections holds that the specification has a section for every verb with its
// form, and for every code.
func TestSpecificationSections(t *testing.T) {
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range protocol.Verbs() {
		_, err := protocol.AppendRequest(nil, v, make([]string, protocol.MaxArgs+1)...)
		_, form, _ := strings.Cut(err.Error(), "the form is: ")
		if !strings.Contains(string(text), "\n### "+v.String()+"\n\n```text\n"+form+"\n") {
			t.Errorf("docs/protocol.md has no section %s that begins with %q", v, form)
		}
	}
	for _, c := range protocol.Codes() {
		if !strings.Contains(string(text), "\n### "+string(c)+"\n") {
			t.Errorf("docs/protocol.md has no section %s", c)
		}
	}
}
