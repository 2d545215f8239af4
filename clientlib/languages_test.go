package clientlib

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tokend/protocol"
	"tokend/protocol/conversation"
)

// languages are the clients in other languages. Each program connects to the socket in its last
// argument, makes the requests on its standard input, and prints each reply as the daemon must have
// written it. A "*" replaces seconds that a client does not return.
var languages = []struct {
	name    string
	command func(t *testing.T) []string
	verbs   []protocol.Verb
}{
	{"php", func(*testing.T) []string { return []string{"php", "php/tests/say.php"} }, everyClient},
	{"csharp", func(t *testing.T) []string { return []string{"mono", compileCSharp(t), "say"} }, everyClient},
}

// everyClient has the verbs of every client.
var everyClient = []protocol.Verb{
	protocol.VerbGet, protocol.VerbReject, protocol.VerbRefresh, protocol.VerbPut, protocol.VerbExchange,
	protocol.VerbPush, protocol.VerbSign, protocol.VerbList, protocol.VerbStatus,
}

// TestConversationsInOtherLanguages plays the conversations to every client in another language.
func TestConversationsInOtherLanguages(t *testing.T) {
	all, err := conversation.Load(os.DirFS("../testdata/conversations"))
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range languages {
		var exchanges []conversation.Exchange
		for _, c := range all {
			each, err := c.Exchanges()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range sayable(each) {
				if verb, _, _ := parse(x.Request); slices.Contains(language.verbs, verb) {
					exchanges = append(exchanges, x)
				}
			}
		}
		for _, speed := range []struct {
			name string
			wrap func(io.Writer) io.Writer
		}{
			{"at once", func(w io.Writer) io.Writer { return w }},
			{"byte by byte", func(w io.Writer) io.Writer { return slowly{w} }},
		} {
			t.Run(language.name+"/"+speed.name, func(t *testing.T) {
				command := language.command(t)
				program, err := exec.LookPath(command[0])
				if err != nil {
					t.Skipf("%s is not installed", command[0])
				}
				s := &script{left: exchanges, wrap: speed.wrap}
				var requests, want strings.Builder
				for _, x := range exchanges {
					requests.WriteString(strings.TrimSuffix(x.Request, "\r") + "\n")
					want.WriteString(strings.Join(x.Reply, "\n") + "\n")
				}
				cmd := exec.CommandContext(t.Context(), program, append(command[1:], listen(t, s))...)
				cmd.Stdin, cmd.Stderr = strings.NewReader(requests.String()), t.Output()
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				got, wanted := strings.Split(string(out), "\n"), strings.Split(want.String(), "\n")
				for i := range max(len(got), len(wanted)) {
					if i >= len(got) || i >= len(wanted) || !sameReply(got[i], wanted[i]) {
						t.Fatalf("line %d of the replies:\n got: %q\nwant: %q", i+1, got[min(i, len(got)-1)], wanted[min(i, len(wanted)-1)])
					}
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, fault := range s.faults {
					t.Error(fault)
				}
			})
		}
	}
}

// listen serves s on a Unix socket until the end of the test and returns the socket's path.
func listen(t *testing.T, s *script) string {
	dir, err := os.MkdirTemp("", "tokend-test-") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait() // the client has closed its connections
	})
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				s.serve(nc)
				_ = nc.Close()
			})
		}
	})
	return socket
}

// sameReply compares lines of a reply, except for seconds that a client does not return.
func sameReply(got, want string) bool {
	if rest, ok := strings.CutPrefix(got, "OK * "); ok {
		_, value, _ := strings.Cut(strings.TrimPrefix(want, "OK "), " ")
		return rest == value
	}
	return got == want
}
