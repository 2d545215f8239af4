package server

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/protocol/conversation"
)

func loadConversations(t *testing.T) []conversation.Conversation {
	t.Helper()
	all, err := conversation.Load(os.DirFS("../../testdata/conversations"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// guest is the uid of an ordinary user, which runs no tests.
const guest = 4_000_000_000

// guestRules are those of testdata/conversations/README.md.
var guestRules = []access.Rule{{
	UIDs:  []uint32{guest},
	Names: []string{"official_account/*"},
	Verbs: []string{"GET", "REJECT", "SIGN", "LIST", "STATUS", "WATCH"},
}}

// Whatever the specification shows, this server says.
func TestConversations(t *testing.T) {
	for _, c := range loadConversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, c, func(nc net.Conn) net.Conn { return nc }) })
		})
	}
}

// The same, when every byte arrives alone.
func TestConversationsByteByByte(t *testing.T) {
	for _, c := range loadConversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, c, func(nc net.Conn) net.Conn { return trickle{nc} }) })
		})
	}
}

// trickle writes one byte at a time.
type trickle struct{ net.Conn }

func (c trickle) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = c.Conn.Write(b[n : n+1])
		n += m
	}
	return n, err
}

func play(t *testing.T, c conversation.Conversation, wrap func(net.Conn) net.Conn) {
	engine := newFakeEngine()
	r := start(t, conversationConfig(c, engine))
	r.engine = engine
	player := conversation.Player{Conn: wrap(r.ln.dial(t).Conn), Do: func(step conversation.Step) error {
		synctest.Wait()
		if step.Kind == conversation.Advance {
			time.Sleep(step.Wait)
			return nil
		}
		return happen(step.Text, engine, r.stop)
	}}
	if err := player.Play(c.Steps); err != nil {
		t.Error(err)
	}
}

// conversationConfig is of the server that c is played against, but for the driver.
func conversationConfig(c conversation.Conversation, engine *fakeEngine) Config {
	peer := access.Peer{}
	for _, step := range c.Steps {
		if step.Kind == conversation.Directive && step.Text == "peer guest" {
			peer.UID = guest
		}
	}
	return Config{
		Engine:  engine,
		Inbox:   fakeInbox{engine},
		Backup:  backupOf("tokend backup 1\n"),
		Reload:  reloadOnce(),
		Version: "1.2.3",
		Rules:   guestRules,
		peer:    func(net.Conn) (access.Peer, error) { return peer, nil },
		Sign:    fakeSign,
	}
}

// happen does what a directive says.
func happen(directive string, engine *fakeEngine, stop func()) error {
	what, rest, _ := strings.Cut(directive, " ")
	name, reply, _ := strings.Cut(rest, " ")
	switch what {
	case "peer":
		return nil
	case "stop":
		stop()
		return nil
	case "fetch", "refresh":
		f, err := parseFetched(reply)
		if err != nil {
			return err
		}
		if what == "fetch" {
			engine.tell(name, f)
			return nil
		}
		engine.mu.Lock()
		defer engine.mu.Unlock()
		engine.landLocked(name, f)
		return nil
	}
	return fmt.Errorf("unknown directive %q", directive)
}
