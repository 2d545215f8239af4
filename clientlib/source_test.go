package clientlib

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tokend/protocol"
)

// The interfaces of SDKs, by shape.
type (
	silenceperToken interface {
		GetAccessToken() (accessToken string, err error)
		GetAccessTokenContext(ctx context.Context) (accessToken string, err error)
	}
	silenceperTicket interface {
		GetTicket(accessToken string) (ticket string, err error)
		GetTicketContext(ctx context.Context, accessToken string) (ticket string, err error)
	}
	workwxProvider interface {
		GetToken(ctx context.Context) (string, error)
	}
	chanxuehongToken interface {
		Token() (token string, err error)
		RefreshToken(currentToken string) (token string, err error)
		IID01332E16DF5011E5A9D5A4DB30FED8E1()
	}
	chanxuehongTicket interface {
		Ticket() (ticket string, err error)
		RefreshTicket(currentTicket string) (ticket string, err error)
		IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1()
	}
	chanxuehongCardTicket interface {
		Ticket() (ticket string, err error)
		RefreshTicket(currentTicket string) (ticket string, err error)
		IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1()
	}
	powerWeChatMap    map[string]any
	powerWeChatCustom func(key string, refresh bool) powerWeChatMap
)

var (
	_ silenceperToken       = (*Source)(nil)
	_ silenceperTicket      = (*Source)(nil)
	_ workwxProvider        = (*Source)(nil)
	_ chanxuehongToken      = (*TokenServer)(nil)
	_ chanxuehongTicket     = (*TokenServer)(nil)
	_ chanxuehongCardTicket = (*TokenServer)(nil)
)

func TestSource(t *testing.T) {
	s := newTestServer(t)
	tokens := &Tokens{Client: &Client{Socket: s.Socket}}
	defer tokens.Client.Close()
	source := tokens.Source(tokenName)
	server := source.Server()
	is := func(about, want string) func(string, error) {
		return func(got string, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", about, got, err, want)
			}
		}
	}
	is("GetToken", "tok-01")(source.GetToken(t.Context()))
	is("GetAccessToken", "tok-01")(source.GetAccessToken())
	is("GetAccessTokenContext", "tok-01")(source.GetAccessTokenContext(t.Context()))
	is("GetTicket", "tok-01")(source.GetTicket("an access token"))
	is("GetTicketContext", "tok-01")(source.GetTicketContext(t.Context(), ""))
	is("Token", "tok-01")(server.Token())
	is("Ticket", "tok-01")(server.Ticket())
	is("RefreshToken without a token", "tok-01")(server.RefreshToken(""))
	is("RefreshToken", "tok-02")(server.RefreshToken("tok-01"))
	is("RefreshTicket of an older one", "tok-02")(server.RefreshTicket("tok-01"))
	is("Token afterwards", "tok-02")(server.Token())
	if n := s.Count(protocol.VerbGet, tokenName); n != 9 {
		t.Errorf("%d requests: values were cached", n)
	}
	for _, v := range []any{tokens, source, server} {
		quietly(t, "tok-0", fmt.Sprintf("%+v %#v %s", v, v, v))
	}

	s.Fail(tokenName, &Error{Code: ErrReauth, RetryAfter: Never, Message: "authorize again"})
	if got, err := source.GetAccessToken(); got != "" || !errors.Is(err, ErrReauth) {
		t.Errorf("got %q, %v, want ErrReauth", got, err)
	}
	if got, err := server.RefreshToken("tok-02"); got != "" || !errors.Is(err, ErrReauth) {
		t.Errorf("got %q, %v, want ErrReauth", got, err)
	}
}

func TestCustom(t *testing.T) {
	s := newTestServer(t)
	tokens := &Tokens{Client: &Client{Socket: s.Socket}}
	defer tokens.Client.Close()
	custom := tokens.Source(tokenName).Custom("access_token")
	var f powerWeChatCustom = func(key string, refresh bool) powerWeChatMap { return custom(key, refresh) }
	is := func(got powerWeChatMap, want string) {
		t.Helper()
		token, isText := got["access_token"].(string)
		seconds, isFloat := got["expires_in"].(float64)
		if token != want || !isText || seconds != 7200 || !isFloat || len(got) != 2 {
			t.Errorf("got %v, want the token %q and 7200.0", got, want)
		}
	}
	is(f("key", true), "tok-01") // nothing to reject yet
	is(f("key", false), "tok-01")
	is(f("key", true), "tok-02")
	if n := s.Count(protocol.VerbReject, ""); n != 1 {
		t.Errorf("%d rejections, want 1", n)
	}
	s.Close()
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, ErrNoDaemon) || strings.Contains(err.Error(), "tok-") {
			t.Errorf("without a daemon: %v", err)
		}
	}()
	f("key", false)
	t.Error("without a daemon: a result")
}

// TestZeroTokens holds that Tokens need no Client.
func TestZeroTokens(t *testing.T) {
	s := newTestServer(t)
	t.Setenv("TOKEND_SOCKET", s.Socket)
	var tokens Tokens
	defer tokens.client().Close()
	if got, err := tokens.Source(tokenName).GetAccessToken(); got != "tok-01" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestMemory holds that the last values are known, and no more of them than the limit.
func TestMemory(t *testing.T) {
	var m memory
	value := func(i int) Secret { return Secret(fmt.Sprintf("tok-%d", i)) }
	for i := range maxHanded {
		m.add(value(i), tokenName)
	}
	m.add(value(0), ticketName) // known: now the last one
	m.add(value(maxHanded), tokenName)
	if _, ok := m.name(value(1)); ok {
		t.Error("the oldest is known")
	}
	for i, want := range map[int]string{0: ticketName, 2: tokenName, maxHanded: tokenName} {
		if got, ok := m.name(value(i)); got != want || !ok {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
	if len(m.known) != maxHanded || m.order.Len() != maxHanded {
		t.Errorf("%d known values, %d in order", len(m.known), m.order.Len())
	}
}
