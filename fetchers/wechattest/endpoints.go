package wechattest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Paths of the endpoints.
const (
	Token         = "/cgi-bin/token"
	StableToken   = "/cgi-bin/stable_token"
	Ticket        = "/cgi-bin/ticket/getticket"
	CorpToken     = "/cgi-bin/gettoken"
	CorpTicket    = "/cgi-bin/get_jsapi_ticket"
	AgentTicket   = "/cgi-bin/ticket/get"
	ProviderToken = "/cgi-bin/service/get_provider_token"
	Probe         = "/cgi-bin/get_api_domain_ip"
)

// endpoint is one path of the API. Its functions run with WeChat.mu held.
type endpoint struct {
	post bool

	// platform says whose rules the call goes by.
	platform func(w *WeChat, r *request) platform

	// caller says who calls, as far as that can be told: an account's id, or
	// whatever id the call carries.
	caller func(w *WeChat, r *request) string

	// act does what the endpoint does.
	act func(w *WeChat, r *request) answer
}

func always(p platform) func(*WeChat, *request) platform {
	return func(*WeChat, *request) platform { return p }
}

// request is one call, read.
type request struct {
	path, method, host string
	query              url.Values
	body               map[string]any // nil where it is not a JSON object
	empty              bool           // there is no body
	now                time.Time      // when it is acted on
}

// maxRequest bounds the body that is read of a call.
const maxRequest = 1 << 20

func read(r *http.Request) (*request, error) {
	q := &request{path: r.URL.Path, method: r.Method, host: r.Host, query: r.URL.Query(), empty: true}
	if q.host == "" {
		q.host = r.URL.Host // of a request that no server has read
	}
	if r.Body == nil {
		return q, nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxRequest {
		return nil, errors.New("the request is too large")
	}
	q.empty = len(b) == 0
	_ = json.Unmarshal(b, &q.body) // what is no object is a nil map, and endpoints refuse it
	return q, nil
}

// get returns a text of the body.
func (r *request) get(key string) string {
	s, _ := r.body[key].(string)
	return s
}

// refuseMethod returns the answer to a call by the wrong method.
func (e endpoint) refuseMethod(p platform, method string) (answer, bool) {
	switch {
	case e.post && method != http.MethodPost:
		return refuse(p, 43002), true
	case !e.post && method != http.MethodGet:
		return refuse(p, 43001), true
	}
	return answer{}, false
}

// bearer returns the account whose live access token the call carries, or the
// answer to a call without one. It does not say which: a token of the other
// platform, a ticket, and nonsense are all unknown.
func (w *WeChat) bearer(p platform, r *request) (*account, answer) {
	value := r.query.Get("access_token")
	if value == "" {
		return nil, refuse(p, 41001)
	}
	unknown := 40001
	if p == wecom {
		unknown = 40014
	}
	i := w.issued.byValue[value]
	if i == nil {
		return nil, refuse(p, unknown)
	}
	if of, ok := i.universe.access(); !ok || of != p {
		return nil, refuse(p, unknown)
	}
	switch {
	case i.live(r.now):
		return i.account, answer{}
	case !i.dies.IsZero() && i.dies.Before(i.ends):
		return nil, refuse(p, unknown)
	}
	return nil, refuse(p, 42001)
}

// bearerID says whose token the call carries, dead or alive.
func bearerID(w *WeChat, r *request) string {
	if i := w.issued.byValue[r.query.Get("access_token")]; i != nil {
		return i.account.id
	}
	return ""
}

// corpOf returns the corp of a caller's id.
func corpOf(id string) string {
	corp, _, _ := strings.Cut(id, "/")
	return corp
}
