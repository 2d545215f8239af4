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

	// platform returns whose rules apply to the call.
	platform func(w *WeChat, r *request) platform

	// caller returns the caller as far as it is known: an account's ID, or whatever ID the call
	// contains.
	caller func(w *WeChat, r *request) string

	// act performs the call.
	act func(w *WeChat, r *request) answer
}

func always(p platform) func(*WeChat, *request) platform {
	return func(*WeChat, *request) platform { return p }
}

// request is one parsed call.
type request struct {
	path, method, host string
	query              url.Values
	body               map[string]any // nil if the body is not a JSON object
	empty              bool           // there is no body
	now                time.Time      // when the call is performed
}

// maxRequest bounds the body of a call.
const maxRequest = 1 << 20

func read(r *http.Request) (*request, error) {
	q := &request{path: r.URL.Path, method: r.Method, host: r.Host, query: r.URL.Query(), empty: true}
	if q.host == "" {
		q.host = r.URL.Host // of a request that no server has parsed
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
	// Anything but an object leaves a nil map, and endpoints reject it.
	_ = json.Unmarshal(b, &q.body)
	return q, nil
}

// get returns a string in the body.
func (r *request) get(key string) string {
	s, _ := r.body[key].(string)
	return s
}

// whole returns a whole number in the body.
func (r *request) whole(key string) (int, bool) {
	f, ok := r.body[key].(float64)
	return int(f), ok && f == float64(int(f))
}

// refuseMethod returns the answer to a call with the wrong method.
func (e endpoint) refuseMethod(p platform, method string) (answer, bool) {
	switch {
	case e.post && method != http.MethodPost:
		return refuse(p, 43002), true
	case !e.post && method != http.MethodGet:
		return refuse(p, 43001), true
	}
	return answer{}, false
}

// tokenCodes are the errcodes for calls with an invalid token.
type tokenCodes struct{ missing, unknown, expired int }

// held returns the valid value in a call if opens accepts its universe, or an errcode. The errcode
// has no details: a token of the other platform, a ticket, nonsense, and a value killed before its
// expiry are all unknown.
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
		return nil, cmp.Or(i.code, c.unknown)
	}
	return nil, c.expired
}

// accessCodes returns the errcodes for calls with an invalid access token.
func (w *WeChat) accessCodes(p platform) tokenCodes {
	codes := tokenCodes{missing: 41001, unknown: 40001, expired: 42001}
	if p == wecom {
		codes.unknown = 40014
		if w.set.ExpiredIsInvalid {
			codes.expired = 40014
		}
	}
	return codes
}

// bearer returns the account of the valid access token in the call, or the answer to a call without
// one.
func (w *WeChat) bearer(p platform, r *request) (*account, answer) {
	opens := func(u universe) bool { of, ok := u.access(); return ok && of == p }
	i, code := w.held(r.query.Get("access_token"), opens, w.accessCodes(p), r.now)
	if code != 0 {
		return nil, refuse(p, code)
	}
	return i.account, answer{}
}

// bearerID returns the owner of the token in the call, valid or not.
func bearerID(w *WeChat, r *request) string {
	if i := w.issued.byValue[r.query.Get("access_token")]; i != nil {
		return i.account.id
	}
	return ""
}

// corp returns the corp that an error of the call counts against: the corp that the call names or
// that its caller belongs to. For a suite's customer it is the suite.
func (r *request) corp(caller string) string {
	first, _, _ := strings.Cut(caller, "/")
	return cmp.Or(r.query.Get("corpid"), first)
}
