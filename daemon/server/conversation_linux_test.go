package server

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/protocol/conversation"
)

// Whatever the specification shows is what both drivers say on a real socket, in one piece and byte
// by byte.
func TestConversationsOnASocket(t *testing.T) {
	for _, c := range loadConversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, d driver) {
				playOnASocket(t, d, c, func(nc net.Conn) net.Conn { return nc })
				playOnASocket(t, d, c, func(nc net.Conn) net.Conn { return trickle{nc} })
			})
		})
	}
}

func playOnASocket(t *testing.T, d driver, c conversation.Conversation, wrap func(net.Conn) net.Conn) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	engine := newFakeEngineAt(&at)
	path, _, stop, done := d.serveUntilStop(t, conversationConfig(c, engine))
	nc := dialSocket(t, path).Conn
	player := conversation.Player{Conn: wrap(nc), Do: func(step conversation.Step) error {
		eventually(t, "the server has read what was sent", func() bool { return unread(t, nc) == 0 })
		if step.Kind == conversation.Advance {
			engine.mu.Lock()
			defer engine.mu.Unlock()
			at = at.Add(step.Wait)
			return nil
		}
		return happen(step.Text, engine, stop)
	}}
	var steps []conversation.Step
	for _, step := range c.Steps {
		// A signature's time is that of the wall clock, which nobody stops here.
		step.Text = strings.Replace(step.Text, "OK 946684800 ", "OK {now} ", 1)
		steps = append(steps, step)
	}
	if err := player.Play(steps); err != nil {
		t.Error(err)
	}
	nc.Close()
	stop()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// unread is how many bytes the kernel holds that were sent by nc and have not been read: more than
// were sent, since it counts what it takes to hold them, and 0 for none (unix(7), SIOCOUTQ).
func unread(t *testing.T, nc net.Conn) (n int) {
	t.Helper()
	raw, err := nc.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
