package server

import (
	"context"
	"iter"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// stillEngine answers at once and always the same, so that two sessions can be compared.
type stillEngine struct{ staticEngine }

func (e stillEngine) Get(context.Context, string) (credential.Value, error) {
	return credential.Value{}, errNoSuch
}
func (e stillEngine) Reject(context.Context, string, secret.Text) (credential.Value, error) {
	return e.value, nil
}
func (e stillEngine) Refresh(context.Context, string) (credential.Value, error) { return e.value, nil }
func (e stillEngine) RejectOlder(context.Context, string, time.Duration) error {
	return nil
}
func (e stillEngine) Class(name string) (credential.Class, error) {
	switch {
	case !strings.HasPrefix(name, "a/"):
		return 0, errNoSuch
	case strings.HasSuffix(name, "/c"):
		return credential.Pushed, nil
	}
	return credential.Fetched, nil
}
func (e stillEngine) Subscribe(string) Watch                         { return stillWatch{} }
func (e stillEngine) Put(context.Context, string, secret.Text) error { return nil }
func (e stillEngine) Exchange(_ context.Context, owner string, _ secret.Text) (string, error) {
	return owner + "/c", nil
}
func (e stillEngine) Import(context.Context, string, int) (credential.ImportPage, error) {
	return credential.ImportPage{Total: 1}, nil
}
func (e stillEngine) Receive(context.Context, string, string, string, string, string) error {
	return errNoSuch
}
func (e stillEngine) List(*throttle.Work, string, func(string) bool) (int, iter.Seq[credential.Listing]) {
	return 0, func(func(credential.Listing) bool) {}
}
func (e stillEngine) Loaded() <-chan struct{}                       { return closed }
func (e stillEngine) Status(name string) (credential.Status, error) { return credential.Status{}, nil }
func (e stillEngine) History(string) ([]credential.Attempt, error)  { return nil, errNoSuch }
func (e stillEngine) Stats() []credential.Stat                      { return nil }
func (e stillEngine) Watch(*throttle.Work, string, func(string) bool) (int, iter.Seq[credential.Listing], Watch) {
	return 0, func(func(credential.Listing) bool) {}, stillWatch{}
}

// closed is of an engine that has loaded all.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// stillWatch is over at once.
type stillWatch struct{}

func (stillWatch) Close()                             {}
func (stillWatch) Take() ([]credential.Listing, bool) { return nil, false }
func (stillWatch) Ready() <-chan struct{}             { return nil }

// FuzzSession feeds the sessions of an operator and of a user with rules whatever bytes, whole and
// cut in two: the replies are the same, are whole lines of the protocol, no byte is
// consumed twice or lost, and what the session held of its user's is given back.
func FuzzSession(f *testing.F) {
	f.Add([]byte(script), 7)
	f.Add([]byte("PING\r\nGET a/b/c\nSTATUS a/b/c\nHISTORY a/b/c\nLIST a\nSTATS\nQUIT\nPING\n"), 20)
	f.Add([]byte("REJECT a/b/c v\nREFRESH a/b/c\nWATCH\nPING\n"), 1)
	f.Add([]byte("PUT a/b/c v\nEXCHANGE a/b c\nIMPORT a/b\nIMPORT a/b 500\nPUSH a/b "+strings.Repeat("0", 40)+" 1 n YQ==\nPUT a/b v\n"), 9)
	f.Add([]byte("\x00\n\n \n  GET\n\r\nGET  a/b/c\nGET a/b/c \n"), 3)
	f.Add([]byte(cmd("HELLO 3")+cmd("GET a/b/c")+cmd("get k_b")+cmd("MGET a/b/c x")+cmd("DEL a/b/d")+cmd("SET a/b/c v EX 1")+cmd("SET a/b/d v")), 30)
	f.Add([]byte(cmd("SUBSCRIBE a/b/c x")+cmd("PSUBSCRIBE work/*")+cmd("PING")+cmd("UNSUBSCRIBE")+cmd("RESET")+cmd("TTL a/b/c")+cmd("QUIT")), 40)
	f.Add([]byte(cmd("CONFIG GET *")+cmd("CLIENT ID")+cmd("INFO")+cmd("SIGN a/b/jsapi_ticket x")+cmd("STATUS a/b/c")+cmd("LIST")+"*0\r\n*1\r\n$-1\r\n"), 60)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		for _, peer := range []access.Peer{{}, {UID: guest}} {
			whole := converse(t, peer, in)
			cut = max(0, min(cut, len(in)))
			if parts := converse(t, peer, in[:cut], in[cut:]); parts != whole {
				t.Fatalf("uid %d, cut at %d\n got %q\nwant %q", peer.UID, cut, parts, whole)
			}
			if whole != "" && !strings.HasSuffix(whole, "\n") {
				t.Fatalf("the replies end in the middle of a line: %q", whole)
			}
		}
	})
}

// converse is drive without anything that differs from one run to the next.
func converse(t *testing.T, peer access.Peer, pieces ...[]byte) string {
	engine := stillEngine{newStaticEngine()}
	srv := New(Config{Engine: engine, Inbox: engine, Sign: func(secret.Text, string, int64, string) string { return "-" },
		Aliases: []alias.Alias{{Key: "k_{x}", Name: "official_account/{x}/access_token", Form: "{json}"}},
		Limits:  Limits{UserRate: unslowed}, Rules: []access.Rule{{UIDs: []uint32{guest}, Names: []string{"a/*", "*/c"}, Verbs: []string{"GET", "LIST", "PUT", "PUSH", "STATUS"}}}})
	s := sessionOf(srv, peer)
	defer func() {
		s.close()
		if s.user.waits.n.Load() != 0 || s.user.watches.n.Load() != 0 || s.user.channels.Load() != 0 || len(s.user.lists) != 0 {
			t.Fatal("something is held for a session that is closed")
		}
	}()
	var in []byte
	var out strings.Builder
	for _, piece := range pieces {
		in = append(in, piece...)
		for next := flush; next != more; {
			var n int
			n, next = s.step(in)
			if n < 0 || n > len(in) {
				t.Fatalf("%d bytes consumed of %d", n, len(in))
			}
			in = in[n:]
			over := next == end || next == refuse
			if next == wait {
				if job := s.takeJob(); job.yields {
					next = more // there are no changes
				} else if s.perform(t.Context(), job, func() error { return nil }) != nil {
					over = true
				}
			}
			out.Write(s.out)
			s.out = s.out[:0]
			if over {
				return mask(out.String())
			}
		}
	}
	return mask(out.String())
}

// signedOrTimed matches the replies of RESP that vary: to SIGN and TIME.
var signedOrTimed = regexp.MustCompile(`\*3\r\n\$10\r\n\d+\r\n\$16\r\n\w{16}|\*2\r\n\$10\r\n\d+\r\n\$\d\r\n\d+`)

// mask takes out the replies to SIGN and TIME, which vary.
func mask(replies string) string {
	replies = signedOrTimed.ReplaceAllString(replies, "varies")
	var kept strings.Builder
	for line := range strings.Lines(replies) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "OK" && len(f[2]) == nonceLength {
			line = "OK signed\n"
		}
		kept.WriteString(line)
	}
	return kept.String()
}
