package wechattest

import (
	"cmp"
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

	ComponentToken  = "/cgi-bin/component/api_component_token"
	PreAuthCode     = "/cgi-bin/component/api_create_preauthcode"
	QueryAuth       = "/cgi-bin/component/api_query_auth"
	AuthorizerToken = "/cgi-bin/component/api_authorizer_token"
	AuthorizerList  = "/cgi-bin/component/api_get_authorizer_list"
	StartPush       = "/cgi-bin/component/api_start_push_ticket"

	SuiteToken       = "/cgi-bin/service/get_suite_token"
	SuitePreAuthCode = "/cgi-bin/service/get_pre_auth_code"
	PermanentCode    = "/cgi-bin/service/get_permanent_code"
	PermanentCodeV2  = "/cgi-bin/service/v2/get_permanent_code"
	AuthCorpToken    = "/cgi-bin/service/get_corp_token"

	DownstreamToken = "/cgi-bin/corpgroup/corp/gettoken"
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

// whole returns a whole number of the body.
func (r *request) whole(key string) (int, bool) {
	f, ok := r.body[key].(float64)
	return int(f), ok && f == float64(int(f))
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

// tokenCodes are what is said to a call whose token opens nothing.
type tokenCodes struct{ missing, unknown, expired int }

// held returns the live value that a call carries, if its universe is one that
// opens, or the errcode of a call without one. That does not say which: a token of
// the other platform, a ticket, and nonsense are all unknown, and so is what died before its end.
func (w *WeChat) held(value string, opens func(universe) bool, c tokenCodes, now time.Time) (*issue, int) {
	i := w.issued.byValue[value]
	switch {
	case value == "":
		return nil, c.missing
	case i == nil || !opens(i.universe):
		return nil, c.unknown
	case i.live(now):
		return i, 0
	case !i.dies.IsZero() && i.dies.Before(i.ends):
		return nil, c.unknown
	}
	return nil, c.expired
}

// bearer returns the account whose live access token the call carries, or the
// answer to a call without one.
func (w *WeChat) bearer(p platform, r *request) (*account, answer) {
	codes := tokenCodes{missing: 41001, unknown: 40001, expired: 42001}
	if p == wecom {
		codes.unknown = 40014
		if w.set.ExpiredIsInvalid {
			codes.expired = 40014
		}
	}
	opens := func(u universe) bool { of, ok := u.access(); return ok && of == p }
	i, code := w.held(r.query.Get("access_token"), opens, codes, r.now)
	if code != 0 {
		return nil, refuse(p, code)
	}
	return i.account, answer{}
}

// bearerID says whose token the call carries, dead or alive.
func bearerID(w *WeChat, r *request) string {
	if i := w.issued.byValue[r.query.Get("access_token")]; i != nil {
		return i.account.id
	}
	return ""
}

// corp returns whose the refusals of a call are: the corp that it names, or that its
// caller belongs to; of a suite's customer it is the suite.
func (r *request) corp(caller string) string {
	first, _, _ := strings.Cut(caller, "/")
	return cmp.Or(r.query.Get("corpid"), first)
}
