package clientlibtest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/clientlib/clientlibtest"
	"tokend/fetchers"
	"tokend/protocol"
)

const (
	token  = "official_account/wx0123/access_token"
	ticket = "official_account/wx0123/jsapi_ticket"
	suite  = "open_work/ww0123/suite_ticket"
)

func newServer(t *testing.T) (*clientlibtest.Server, *clientlib.Client) {
	t.Helper()
	s := clientlibtest.NewServer()
	c := &clientlib.Client{Socket: s.Socket}
	t.Cleanup(func() { _ = c.Close(); s.Close() })
	return s, c
}

func TestValues(t *testing.T) {
	s, c := newServer(t)
	ctx := t.Context()
	s.Set(token, "tok-01", 2*time.Hour)
	s.Next(token, "tok-02", "tok-03")
	is := func(want string) func(clientlib.Credential, error) {
		return func(got clientlib.Credential, err error) {
			t.Helper()
			if got.Value.Reveal() != want || got.TTL != 2*time.Hour || err != nil {
				t.Errorf("got %q, %v, %v, want %q", got.Value.Reveal(), got.TTL, err, want)
			}
		}
	}
	is("tok-01")(c.Get(ctx, token))
	is("tok-02")(c.Reject(ctx, token, "tok-01"))
	is("tok-02")(c.Reject(ctx, token, "tok-01")) // not the current one
	is("tok-03")(c.Refresh(ctx, token))
	is("tok-03")(c.Reject(ctx, token, "tok-03")) // none follows
	if got := s.Count(protocol.VerbReject, token); got != 3 {
		t.Errorf("%d rejections, want 3", got)
	}
	if got := s.Count(protocol.VerbGet, ""); got != 1 {
		t.Errorf("%d GETs, want 1", got)
	}
	if _, err := c.Get(ctx, ticket); !errors.Is(err, clientlib.ErrNotFound) {
		t.Error(err)
	}
}

func TestFail(t *testing.T) {
	s, c := newServer(t)
	s.Set(token, "tok-01", time.Hour)
	want := clientlib.Error{Code: clientlib.ErrUpstream, RetryAfter: 30 * time.Second, Message: "errcode=40164 invalid ip"}
	s.Fail(token, &want)
	_, err := c.Get(t.Context(), token)
	if got, ok := errors.AsType[*clientlib.Error](err); !ok || *got != want {
		t.Errorf("got %v", err)
	}
	s.Fail(token, nil)
	if _, err := c.Get(t.Context(), token); err != nil {
		t.Error(err)
	}
}

func TestOtherRequests(t *testing.T) {
	s, c := newServer(t)
	ctx := t.Context()
	if err := c.Put(ctx, suite, "ticket@@@01"); err != nil || s.Value(suite) != "ticket@@@01" {
		t.Errorf("PUT: %v, the value is %q", err, s.Value(suite))
	}
	s.Set(ticket, "ticket-01", time.Hour)
	const page = "https://example.com/pay?id=7"
	if got, err := c.Sign(ctx, ticket, page); err != nil || got.Signature != fetchers.Sign("ticket-01", got.Nonce, got.Timestamp, page) {
		t.Errorf("SIGN: %v, %v", got, err)
	}
	if got, err := c.Exchange(ctx, "open_work/ww0123", "code"); err != nil || !strings.HasPrefix(got, "open_work/ww0123/") {
		t.Errorf("EXCHANGE: %q, %v", got, err)
	}
	m := clientlib.Callback{MsgSignature: strings.Repeat("0", 40), Timestamp: "946684800", Nonce: "1", Encrypt: "dGlja2V0"}
	if err := c.Push(ctx, "open_work/ww0123", m); err != nil || s.Count(protocol.VerbPush, "open_work/ww0123") != 1 {
		t.Errorf("PUSH: %v", err)
	}
	list, err := c.List(ctx, "")
	if err != nil || len(list) != 2 || list[0].Name != ticket || list[0].TTL != time.Hour {
		t.Errorf("LIST: %v, %v", list, err)
	}
	if got, err := c.Status(ctx, ticket); err != nil || len(got) != 2 || got[0] != (clientlib.Pair{Key: "state", Value: "fresh"}) {
		t.Errorf("STATUS: %v, %v", got, err)
	}
	if _, err := c.Version(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Stats(ctx); !errors.Is(err, clientlib.ErrDenied) {
		t.Errorf("STATS: %v", err)
	}
}

// TestMalformedRequests holds that a client that sends nonsense gets the daemon's errors.
func TestMalformedRequests(t *testing.T) {
	s, _ := newServer(t)
	c, err := net.Dial("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := make(chan string)
	go func() {
		var all []byte
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil {
				got <- string(all)
				return
			}
		}
	}()
	if _, err := c.Write([]byte("\nNONSENSE\nPING\r\nGET " + strings.Repeat("a", protocol.MaxLine))); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(<-got, "\n")
	if len(lines) != 5 || lines[2] != "OK PONG" || !strings.HasPrefix(lines[3], "ERR BAD_REQUEST - the line is longer") {
		t.Errorf("got %q", lines)
	}
}

// TestRestart holds that a client survives Disconnect, and finds no daemon after Close.
func TestRestart(t *testing.T) {
	s, c := newServer(t)
	s.Set(token, "tok-01", time.Hour)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 20 {
				s.Disconnect()
				_, _ = c.Get(t.Context(), token) // may meet a second Disconnect
			}
		})
	}
	wg.Wait()
	if _, err := c.Get(t.Context(), token); err != nil {
		t.Error(err)
	}
	s.Close()
	if _, err := c.Get(t.Context(), token); !errors.Is(err, clientlib.ErrNoDaemon) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := os.Stat(s.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket: %v", err)
	}
	s.Close()
}

// TestRESP holds that clients of Redis get the same values and errors.
func TestRESP(t *testing.T) {
	s, _ := newServer(t)
	s.Set(token, "tok-01", 2*time.Hour)
	s.Next(token, "tok-02")
	c, err := net.Dial("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ask := func(want string, args ...string) {
		t.Helper()
		command := protocol.AppendArray(nil, len(args))
		for _, arg := range args {
			command = protocol.AppendBulk(command, arg)
		}
		for _, b := range [][]byte{command[:3], command[3:]} { // in two pieces
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", args, got, err, want)
		}
	}
	ask("+PONG\r\n", "PING")
	ask("$6\r\ntok-01\r\n", "get", token)
	ask("$-1\r\n", "GET", ticket)
	ask("*2\r\n$6\r\ntok-01\r\n$-1\r\n", "MGET", token, ticket)
	ask(":7200\r\n", "TTL", token)
	ask(":-2\r\n", "TTL", ticket)
	ask("+OK\r\n", "SET", token, "foreign", "EX", "7000")
	ask(":1\r\n", "DEL", token, ticket)
	ask("$6\r\ntok-02\r\n", "GET", token)
	ask("$6\r\ntok-02\r\n", "REJECT", token, "tok-01")
	ask("-ERR wrong number of arguments for 'get' command\r\n", "GET")
	ask("-ERR unknown command 'KEYS', with args beginning with: \r\n", "KEYS", "*")
	ask("%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n", "HELLO", "3")
	ask("_\r\n", "GET", ticket)
	s.Fail(token, &clientlib.Error{Code: clientlib.ErrLimited, RetryAfter: 30 * time.Second, Message: "not now"})
	ask("-LIMITED 30 not now\r\n", "GET", token)
	ask("-LIMITED 30 not now\r\n", "DEL", token)
	if _, err := io.WriteString(c, "GET x\r\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); err != nil || string(rest) != "-ERR Protocol error: expected '*', got 'G'\r\n" {
		t.Errorf("an inline command: got %q, %v", rest, err)
	}
}
