package fetchers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"tokend/fetchers/secret"
)

// Authorization is what an authorization code was exchanged for.
type Authorization struct {
	// Child is the customer: the authorizer's appid, or the corp's id. It is a valid
	// segment of a credential name.
	Child string

	// Grant is the refresh token or permanent code, never empty.
	Grant secret.Text

	// Token is the customer's first token; nil where none came with the grant. A token
	// unfit to be one counts as none: another can be fetched with the grant, and
	// the code cannot be exchanged again.
	Token *Token
}

// QueryAuth exchanges the authorization code of a third-party platform by
// /cgi-bin/component/api_query_auth.
type QueryAuth struct {
	Client *Client
	AppID  string // the platform's own
}

// Exchange makes one call, with the component_access_token as parent. A code can be exchanged once:
// after a [*TransportError] that was Sent it may be used up. WeChat gives no tokens of an account
// that has no API permissions: that is an [*APIError] with errcode 0, and the code is used up.
func (e QueryAuth) Exchange(ctx context.Context, parent, code secret.Text) (Authorization, error) {
	q := componentCall("api_query_auth", "authorizer_access_token", parent, struct {
		AppID string `json:"component_appid"`
		Code  string `json:"authorization_code"`
	}{e.AppID, string(code)})
	q.with = append(q.with, code)
	q.effect = spends
	return do(ctx, e.Client, q, func(o object) (Authorization, error) {
		info, err := o.object("authorization_info")
		if err != nil {
			return Authorization{}, err
		}
		const id, grant = "authorizer_appid", "authorizer_refresh_token"
		if _, err := info.id(id); err == nil && info.whole && info.lacks(grant) {
			return Authorization{}, &APIError{Endpoint: q.path, Reaction: CodeRefused,
				Msg: "WeChat returned no refresh token: the account has no API permissions. The code is used up."}
		}
		return authorization(q, info, info, id, grant)
	})
}

// PermanentCode exchanges the auth_code of a WeCom suite for a permanent code.
//
// Ordinary suites use /cgi-bin/service/v2/get_permanent_code, which WeCom recommends
// as the faster; no token comes with it. Templates for custom development, whose ids begin
// with "dk", use /cgi-bin/service/get_permanent_code, the only one that is documented for them.
type PermanentCode struct {
	Client  *Client
	SuiteID string
}

// Exchange makes one call, with the suite_access_token as parent; a second one, to the
// older path, where a gateway in between has no newer (HTTP 404): there the code
// has met nobody yet. A code can be exchanged once: after any other [*TransportError]
// that was Sent it may be used up.
func (e PermanentCode) Exchange(ctx context.Context, parent, code secret.Text) (Authorization, error) {
	const v1, v2 = "/cgi-bin/service/get_permanent_code", "/cgi-bin/service/v2/get_permanent_code"
	if strings.HasPrefix(e.SuiteID, "dk") {
		return e.exchange(ctx, v1, parent, code)
	}
	a, err := e.exchange(ctx, v2, parent, code)
	if s, ok := errors.AsType[*statusError](err); ok && s.status == http.StatusNotFound {
		return e.exchange(ctx, v1, parent, code)
	}
	return a, err
}

func (e PermanentCode) exchange(ctx context.Context, path string, parent, code secret.Text) (Authorization, error) {
	q := suiteCall(path, parent)
	q.body = struct {
		Code string `json:"auth_code"`
	}{string(code)}
	q.with = append(q.with, code)
	q.effect = spends
	q.field = "access_token"
	// "exceed min length 64": here the code is the only parameter that can
	// break a constraint, and whoever handed it in should hear of it.
	q.special = map[int]Reaction{40058: CodeRefused}
	return do(ctx, e.Client, q, func(o object) (Authorization, error) {
		corp, err := o.object("auth_corp_info")
		if err != nil {
			return Authorization{}, err
		}
		return authorization(q, o, corp, "corpid", "permanent_code")
	})
}

// authorization reads the grant, and a token if there is one, in o, and in whose the
// customer's id.
func authorization(q call, o, whose object, id, grant string) (Authorization, error) {
	var a Authorization
	var err error
	if a.Child, err = whose.id(id); err != nil {
		return Authorization{}, err
	}
	if a.Grant, err = o.value(grant); err != nil {
		return Authorization{}, err
	}
	if t, err := q.token(o); err == nil {
		a.Token = &t
	}
	return a, nil
}
