package clientlib

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Transport returns a RoundTripper for an SDK's HTTP client. base, or [http.DefaultTransport] if
// base is nil, makes the requests.
//
// If WeChat's response says that the token in the query is invalid or expired, and a [Source] of t
// has returned that token, the transport reports the token to the daemon. If the daemon returns
// another one, the transport repeats the request with it, at most once. A request can be repeated
// if it has no body or has GetBody, as the requests of [http.NewRequest] with a bytes.Buffer,
// bytes.Reader or strings.Reader have. In all other cases the caller gets WeChat's response as it
// is: also if the daemon cannot be asked.
//
// The transport reads at most 64 KiB of a response ahead of the caller, and only if the response
// may be such a refusal. It is safe for concurrent use.
func (t *Tokens) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{tokens: t, base: cmp.Or(base, http.DefaultTransport)}
}

type transport struct {
	tokens *Tokens
	base   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	carried := t.tokens.carriedBy(req.URL.RawQuery)
	resp, err := t.base.RoundTrip(req)
	if err != nil || len(carried) == 0 {
		return resp, err
	}
	code := errcode(resp)
	for _, token := range carried {
		if slices.Contains(stale[token.parameter], code) {
			return t.refused(req, resp, token)
		}
	}
	return resp, nil
}

// refused reports a token that WeChat refused with resp, and repeats req if possible.
func (t *transport) refused(req *http.Request, resp *http.Response, token carried) (*http.Response, error) {
	fresh, err := t.tokens.reject(req.Context(), token.name, token.value)
	if err != nil || fresh.Value == token.value {
		return resp, nil
	}
	again := req.Clone(req.Context())
	again.URL.RawQuery = token.replaced(req.URL.RawQuery, fresh.Value)
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil
		}
	}
	_ = resp.Body.Close() // read to its end
	return t.base.RoundTrip(again)
}

// CloseIdleConnections closes those of the base, for [http.Client.CloseIdleConnections].
func (t *transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// carried is a token in a query.
type carried struct {
	parameter string
	value     Secret
	name      string // of the credential
}

// carriedBy returns the tokens in a query that Sources have handed out.
func (t *Tokens) carriedBy(query string) (all []carried) {
	for pair := range strings.SplitSeq(query, "&") {
		parameter, value, ok := splitPair(pair)
		if !ok || stale[parameter] == nil {
			continue
		}
		if name, known := t.handed.name(value); known {
			all = append(all, carried{parameter, value, name})
		}
	}
	return all
}

// replaced returns query with another value for the token. Nothing else changes.
func (c carried) replaced(query string, value Secret) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if parameter, old, ok := splitPair(pair); ok && parameter == c.parameter && old == c.value {
			key, _, _ := strings.Cut(pair, "=")
			pairs[i] = key + "=" + url.QueryEscape(value.Reveal())
		}
	}
	return strings.Join(pairs, "&")
}

// splitPair splits a pair of a query.
func splitPair(pair string) (parameter string, value Secret, ok bool) {
	key, text, _ := strings.Cut(pair, "=")
	parameter, err := url.QueryUnescape(key)
	if err != nil {
		return "", "", false
	}
	text, err = url.QueryUnescape(text)
	return parameter, Secret(text), err == nil
}
