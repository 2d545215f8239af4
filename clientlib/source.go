package clientlib

import (
	"context"
	"fmt"
	"sync"
)

// Source returns the values of one credential, in the forms that SDKs ask for. It has the methods
// of their interfaces and imports none of them:
//
//   - silenceper/wechat: credential.AccessTokenHandle, AccessTokenContextHandle, JsTicketHandle and
//     JsTicketContextHandle
//   - go-workwx: ITokenProvider
//   - chanxuehong/wechat: see [Source.Server]
//   - PowerWeChat: see [Source.Custom]
//
// Every method returns a value that is valid now, or an error. Without an error, no value is empty:
// an SDK would take that for a missing token, and fetch one for itself.
type Source struct {
	tokens *Tokens
	name   string
}

// Name returns the name of the credential.
func (s *Source) Name() string { return s.name }

// GetToken returns the value.
func (s *Source) GetToken(ctx context.Context) (string, error) {
	cred, err := s.tokens.get(ctx, s.name)
	return cred.Value.Reveal(), err
}

// GetAccessToken returns the value.
func (s *Source) GetAccessToken() (string, error) { return s.GetToken(context.Background()) }

// GetAccessTokenContext returns the value.
func (s *Source) GetAccessTokenContext(ctx context.Context) (string, error) { return s.GetToken(ctx) }

// GetTicket returns the value of s, which is the source of a ticket. It does not need the access
// token.
func (s *Source) GetTicket(accessToken string) (string, error) {
	return s.GetToken(context.Background())
}

// GetTicketContext is GetTicket with a context.
func (s *Source) GetTicketContext(ctx context.Context, accessToken string) (string, error) {
	return s.GetToken(ctx)
}

// Server returns s as core.AccessTokenServer, jssdk.TicketServer and card.TicketServer of
// chanxuehong/wechat.
func (s *Source) Server() *TokenServer { return &TokenServer{s} }

// TokenServer is a [Source] for chanxuehong/wechat.
type TokenServer struct{ source *Source }

// Token returns the value.
func (s *TokenServer) Token() (string, error) { return s.source.GetToken(context.Background()) }

// RefreshToken rejects the current token and returns the one to use instead. Without a current
// token it returns a valid one.
func (s *TokenServer) RefreshToken(currentToken string) (string, error) {
	ctx := context.Background()
	if currentToken == "" {
		return s.source.GetToken(ctx)
	}
	cred, err := s.source.tokens.reject(ctx, s.source.name, Secret(currentToken))
	return cred.Value.Reveal(), err
}

// Ticket is Token for the source of a ticket.
func (s *TokenServer) Ticket() (string, error) { return s.Token() }

// RefreshTicket is RefreshToken for the source of a ticket.
func (s *TokenServer) RefreshTicket(currentTicket string) (string, error) {
	return s.RefreshToken(currentTicket)
}

// IID01332E16DF5011E5A9D5A4DB30FED8E1 marks a server of access tokens.
func (*TokenServer) IID01332E16DF5011E5A9D5A4DB30FED8E1() {}

// IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1 marks a server of jsapi tickets.
func (*TokenServer) IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1() {}

// IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1 marks a server of card tickets.
func (*TokenServer) IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1() {}

// Custom returns a function for PowerWeChat's GetCustomToken. The function's result has the token
// as a string under tokenKey, and expires_in in seconds as a float64. With refresh, the function
// first rejects the value that it returned last.
//
// The function panics if the daemon returns an error. PowerWeChat has no place for an error here,
// and panics itself, with less to read, if the result lacks a token.
func (s *Source) Custom(tokenKey string) func(key string, refresh bool) map[string]any {
	var mu sync.Mutex
	var last Secret
	return func(_ string, refresh bool) map[string]any {
		mu.Lock()
		used := last
		mu.Unlock()
		ctx := context.Background()
		var cred Credential
		var err error
		if refresh && used != "" {
			cred, err = s.tokens.reject(ctx, s.name, used)
		} else {
			cred, err = s.tokens.get(ctx, s.name)
		}
		if err != nil {
			panic(fmt.Errorf("clientlib: no token for PowerWeChat: %w", err))
		}
		mu.Lock()
		last = cred.Value
		mu.Unlock()
		return map[string]any{tokenKey: cred.Value.Reveal(), "expires_in": cred.TTL.Seconds()}
	}
}
