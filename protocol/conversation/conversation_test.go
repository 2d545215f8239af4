package conversation_test

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tokend/protocol/conversation"
)

func TestParse(t *testing.T) {
	const text = `# a comment

> GET a/b/c
>
> ping\r
>  two spaces
< OK 1 v
@ +90m
! fetch a/b/c OK 1 v
`
	got, err := conversation.Parse(iotest.OneByteReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := []conversation.Step{
		{Line: 3, Kind: conversation.Send, Text: "GET a/b/c"},
		{Line: 4, Kind: conversation.Send},
		{Line: 5, Kind: conversation.Send, Text: "ping\r"},
		{Line: 6, Kind: conversation.Send, Text: " two spaces"},
		{Line: 7, Kind: conversation.Receive, Text: "OK 1 v"},
		{Line: 8, Kind: conversation.Advance, Wait: 90 * time.Minute},
		{Line: 9, Kind: conversation.Directive, Text: "fetch a/b/c OK 1 v"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got: %+v\nwant: %+v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for about, text := range map[string]string{
		"nothing":                  "",
		"no line of the client":    "# only a comment\n< OK\n",
		"an unknown mark":          "? PING\n",
		"no space after the mark":  ">PING\n",
		"an empty answer":          "> PING\n<\n",
		"an empty directive":       "> PING\n! \n",
		"a duration without plus":  "> PING\n@ 90m\n",
		"an invalid duration":      "> PING\n@ +soon\n",
		"time that goes backwards": "> PING\n@ +-1s\n",
		"an invalid escape":        "> PING\\q\n",
	} {
		if steps, err := conversation.Parse(strings.NewReader(text)); err == nil {
			t.Errorf("%s: parsed as %+v", about, steps)
		}
	}
	if _, err := conversation.Parse(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a failing reader: error is %v", err)
	}
}

func TestLoad(t *testing.T) {
	files := fstest.MapFS{
		"b.txt":     {Data: []byte("> PING\n< OK PONG\n")},
		"a.txt":     {Data: []byte("> QUIT\n< OK\n")},
		"README.md": {Data: []byte("not a conversation")},
	}
	all, err := conversation.Load(files)
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Text != "> PING\n< OK PONG\n" {
		t.Errorf("loaded %+v, %v", all, err)
	}
	files["c.txt"] = &fstest.MapFile{Data: []byte("? PING\n")}
	if _, err := conversation.Load(files); err == nil || !strings.Contains(err.Error(), "c.txt: line 1") {
		t.Errorf("a broken file: error is %v", err)
	}
	if _, err := conversation.Load(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error is %v", err)
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		match     bool
	}{
		{"OK 1 v", "OK 1 v", true},
		{"OK 1 v", "OK 2 v", false},
		{"OK {ttl} v", "OK 2 v", true},
		{"OK {ttl} v", "OK  v", false},
		{"OK {ttl}", "OK 2 v", false},
		{"OK {}", "OK 2", true},
		{"OK {x", "OK 2", false},
	} {
		if got := conversation.Match(tt.want, tt.got); got != tt.match {
			t.Errorf("Match(%q, %q) = %v", tt.want, tt.got, got)
		}
	}
}

func TestExchanges(t *testing.T) {
	all, err := conversation.Load(os.DirFS("../../testdata/conversations"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if _, err := c.Exchanges(); err != nil {
			t.Error(err)
		}
	}
	for about, text := range map[string]string{
		"no reply":         "> PING\n",
		"half a list":      "> LIST\n< OK 2\n< a/b/c idle -\n",
		"a reply too many": "> PING\n< OK PONG\n< OK PONG\n",
		"an invalid count": "> STATS\n< OK many\n",
	} {
		steps, err := conversation.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if x, err := (conversation.Conversation{Steps: steps}).Exchanges(); err == nil {
			t.Errorf("%s: parsed as %+v", about, x)
		}
	}
	steps, err := conversation.Parse(strings.NewReader("> LIST\n> PING\n! stop\n< OK 1\n< a/b/c idle -\n< OK PONG\n"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := conversation.Conversation{Steps: steps}.Exchanges()
	if err != nil || len(x) != 2 || len(x[0].Reply) != 2 || x[1].Reply[0] != "OK PONG" {
		t.Errorf("pipelined: %+v, %v", x, err)
	}
}

// answer is a server. It replies to each line with the next of replies and closes the connection
// after the last.
func answer(conn net.Conn, replies ...string) {
	defer conn.Close()
	r := bufio.NewReaderSize(iotest.OneByteReader(conn), 16)
	for _, reply := range replies {
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

// play plays text against a server that sends replies.
func play(t *testing.T, text string, do func(conversation.Step) error, replies ...string) (err error) {
	t.Helper()
	steps, err := conversation.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		go answer(server, replies...)
		err = (&conversation.Player{Conn: client, Do: do}).Play(steps)
	})
	return err
}

func TestPlay(t *testing.T) {
	var done []string
	do := func(s conversation.Step) error {
		done = append(done, s.Text+s.Wait.String())
		return nil
	}
	const text = "> a\n> b\n< 1\n< 2\n@ +1h\n! stop\n> c\n! wait\n< 3 {x}\n! closed\n"
	if err := play(t, text, do, "1\n", "2\n", "3 y\n"); err != nil {
		t.Error(err)
	}
	if want := []string{"1h0m0s", "stop0s", "wait0s"}; !slices.Equal(done, want) {
		t.Errorf("done\n got: %q\nwant: %q", done, want)
	}
}

func TestPlayDeviations(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		about, text, want string
		replies           []string
	}{
		{"another reply", "> a\n> b\n< 1\n< 2\n", "line 3", []string{"0\n", "2\n"}},
		{"no reply", "> a\n> b\n< 1\n< 2\n", "line 4: EOF", []string{"1\n"}},
		{"half a reply", "> a\n< 1\n", `got: "0"`, []string{"0"}},
		{"CR LF", "> a\n< 1\n", `got: "1\r"`, []string{"1\r\n"}},
		{"a line instead of the end", "> a\n< 1\n! closed\n", "want the connection closed", []string{"1\n2\n"}},
		{"half a line instead of the end", "> a\n< 1\n! closed\n", "in the middle of a line", []string{"1\n2"}},
		{"a directive that fails", "> a\n< 1\n! stop\n", "line 3: refused", []string{"1\n"}},
	} {
		do := func(conversation.Step) error { return refused }
		if err := play(t, tt.text, do, tt.replies...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got: %v\nwant: ...%s...", tt.about, err, tt.want)
		}
	}
	if err := play(t, "> a\n! stop\n", nil, "1\n"); err == nil {
		t.Error("a directive without Do was skipped")
	}
}
