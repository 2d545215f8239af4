package fetchers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"tokend/fetchers/secret"
)

// Authorization is the result of the exchange of an authorization code.
type Authorization struct {
	// Child is the customer: the authorizer's appid or the corp's ID. It is a valid segment of a
	// credential name.
	Child string

	// Grant is the refresh token or permanent code, never empty.
	Grant secret.Text

	// Token is the customer's first token, or nil if the answer had none. An invalid token counts
	// as none: the grant can fetch another, but the code cannot be exchanged again.
	Token *Token
}

// QueryAuth exchanges an authorization code of a third-party platform with
// /cgi-bin/component/api_query_auth.
type QueryAuth struct {
	Client *Client
	AppID  string // the platform's appid
}

// Exchange makes one call, with the component_access_token as parent. A code can be exchanged once.
// After a [*TransportError] with Sent it may be used up. For an account without API permissions,
// WeChat returns no tokens: the error is then an [*APIError] with errcode 0, and the code is used
// up.
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
// Ordinary suites use /cgi-bin/service/v2/get_permanent_code, which WeCom recommends because it is
// faster. It returns no token. Templates for custom development, whose IDs start with "dk", use
// /cgi-bin/service/get_permanent_code, the only endpoint documented for them.
type PermanentCode struct {
	Client  *Client
	SuiteID string
}

// Exchange makes one call, with the suite_access_token as parent. If an intermediary does not know
// the newer path and answers HTTP 404, Exchange calls the older one. The code has not been used
// then. A code can be exchanged once. After any other [*TransportError] with Sent it may be used
// up.
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
	// "exceed min length 64": the code is the only parameter here that can violate a constraint.
	// The caller that supplied the code gets the error.
	q.special = map[int]Reaction{40058: CodeRefused}
	return do(ctx, e.Client, q, func(o object) (Authorization, error) {
		corp, err := o.object("auth_corp_info")
		if err != nil {
			return Authorization{}, err
		}
		return authorization(q, o, corp, "corpid", "permanent_code")
	})
}

// authorization reads the grant, and the token if there is one, from o, and the customer's ID from
// whose.
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
