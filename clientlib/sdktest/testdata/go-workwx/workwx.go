// Package workwx has the shape of go-workwx v1.7, as far as docs/go-workwx.md uses it. It fetches
// and caches tokens and tickets as that module does: without a provider by itself, with the secret.
package workwx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
)

// ITokenProvider returns a token or a ticket.
type ITokenProvider interface {
	GetToken(context.Context) (string, error)
}

// CtorOption is an option of New.
type CtorOption func(*Workwx)

// WithHTTPClient sets the client for HTTP.
func WithHTTPClient(c *http.Client) CtorOption { return func(w *Workwx) { w.http = c } }

// WithAccessTokenProvider sets where the access token comes from.
func WithAccessTokenProvider(p ITokenProvider) CtorOption { return func(w *Workwx) { w.token = p } }

// WithJSAPITicketProvider sets where the ticket of the corp comes from.
func WithJSAPITicketProvider(p ITokenProvider) CtorOption { return func(w *Workwx) { w.ticket = p } }

// WithJSAPITicketAgentConfigProvider sets where the ticket of the app comes from.
func WithJSAPITicketAgentConfigProvider(p ITokenProvider) CtorOption {
	return func(w *Workwx) { w.agentTicket = p }
}

// Workwx is a corp.
type Workwx struct {
	CorpID string

	http                       *http.Client
	token, ticket, agentTicket ITokenProvider
}

// WorkwxApp is an app of a corp.
type WorkwxApp struct {
	*Workwx

	CorpSecret string
	AgentID    int64

	own [3]fetched
}

// fetched is a value that the module fetches by itself and keeps.
type fetched struct {
	sync.Mutex
	value string
}

// New returns a corp.
func New(corpID string, options ...CtorOption) *Workwx {
	w := &Workwx{CorpID: corpID, http: &http.Client{}}
	for _, set := range options {
		set(w)
	}
	return w
}

// WithApp returns an app.
func (w *Workwx) WithApp(corpSecret string, agentID int64) *WorkwxApp {
	return &WorkwxApp{Workwx: w, CorpSecret: corpSecret, AgentID: agentID}
}

// UserInfo is a member of the corp.
type UserInfo struct {
	UserID string `json:"userid"`
}

// GetUser returns a member.
func (a *WorkwxApp) GetUser(userID string) (*UserInfo, error) {
	var info UserInfo
	return &info, a.call("/cgi-bin/user/get", url.Values{"userid": {userID}}, &info)
}

// GetJSAPITicket returns the ticket of the corp.
func (a *WorkwxApp) GetJSAPITicket() (string, error) {
	return a.value(a.ticket, &a.own[1], "ticket", func(into any) error {
		return a.call("/cgi-bin/get_jsapi_ticket", url.Values{}, into)
	})
}

// GetJSAPITicketAgentConfig returns the ticket of the app.
func (a *WorkwxApp) GetJSAPITicketAgentConfig() (string, error) {
	return a.value(a.agentTicket, &a.own[2], "ticket", func(into any) error {
		return a.call("/cgi-bin/ticket/get", url.Values{"type": {"agent_config"}}, into)
	})
}

func (a *WorkwxApp) accessToken() (string, error) {
	return a.value(a.token, &a.own[0], "access_token", func(into any) error {
		return a.get("/cgi-bin/gettoken", url.Values{"corpid": {a.CorpID}, "corpsecret": {a.CorpSecret}}, into)
	})
}

func (a *WorkwxApp) value(p ITokenProvider, own *fetched, key string, fetch func(into any) error) (string, error) {
	if p != nil {
		return p.GetToken(context.Background())
	}
	own.Lock()
	defer own.Unlock()
	if own.value != "" {
		return own.value, nil
	}
	var answer map[string]any
	if err := fetch(&answer); err != nil {
		return "", err
	}
	own.value, _ = answer[key].(string)
	return own.value, nil
}

func (a *WorkwxApp) call(path string, query url.Values, into any) error {
	token, err := a.accessToken()
	if err != nil {
		return err
	}
	query.Set("access_token", token)
	return a.get(path, query, into)
}

func (a *WorkwxApp) get(path string, query url.Values, into any) error {
	resp, err := a.http.Get("https://qyapi.weixin.qq.com" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil {
		return err
	}
	var status struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(raw, &status); err != nil {
		return err
	}
	if status.Code != 0 {
		return fmt.Errorf("%d: %s", status.Code, status.Msg)
	}
	return json.Unmarshal(raw, into)
}

// SpawnAccessTokenRefresher fetches the token from time to time. This shape fetches it once.
func (a *WorkwxApp) SpawnAccessTokenRefresher() {
	if a.token == nil {
		go func() { _, _ = a.accessToken() }()
	}
}
