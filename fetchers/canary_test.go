package fetchers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tokend/fetchers/secret"
)

// checkQuiet fails if err, or an error that it wraps, shows what was sent: a canary in any of its
// forms, or a query.
func checkQuiet(t *testing.T, err error) {
	t.Helper()
	var shown []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		shown = append(shown, e.Error(), fmt.Sprintf("%v %+v %#v %q", e, e, e, e))
	}
	for _, text := range shown {
		for _, s := range []secret.Text{canarySecret, canaryParent, canaryGrant} {
			raw := string(s)
			quoted, _ := json.Marshal(raw)
			for _, form := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw), strings.Trim(string(quoted), `"`), raw[:9]} {
				if strings.Contains(text, form) {
					t.Errorf("an error shows what was sent:\n%s", text)
					return
				}
			}
		}
		for _, q := range []string{"secret=", "access_token="} {
			if strings.Contains(text, q) {
				t.Errorf("an error shows a query:\n%s", text)
				return
			}
		}
	}
}

// echo returns everything in a request, the worst that a gateway can do.
func echo(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	return strings.ReplaceAll(r.URL.RawQuery+" "+r.URL.Query().Encode(), "=", ": ") + " " + string(body)
}

func TestErrorsWithoutSecrets(t *testing.T) {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	transports := map[string]roundTripFunc{
		"errmsg repeats the request": func(r *http.Request) (*http.Response, error) {
			return answering(200, strings.NewReader(`{"errcode":40013,"errmsg":`+quote(echo(r))+`}`))(r)
		},
		"errmsg repeats the values": func(r *http.Request) (*http.Response, error) {
			var values []string
			for _, v := range r.URL.Query() {
				values = append(values, v...)
			}
			var body map[string]any
			_ = json.NewDecoder(r.Body).Decode(&body)
			return answering(200, strings.NewReader(`{"errcode":40013,"errmsg":`+quote(fmt.Sprint(values, body))+`}`))(r)
		},
		"page repeats the request": func(r *http.Request) (*http.Response, error) {
			return answering(502, strings.NewReader("<p>"+echo(r)))(r)
		},
		"key repeats the request": func(r *http.Request) (*http.Response, error) {
			return answering(200, strings.NewReader("{"+quote(echo(r))+":1}"))(r)
		},
		"transport names the URL": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("refused")}
		},
		"transport repeats the request": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", echo(r))
		},
		"transport wraps what repeats it": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("broken: %w", &net.OpError{Op: "read", Err: errors.New(echo(r))})
		},
		"body ends with what repeats it": func(r *http.Request) (*http.Response, error) {
			return answering(200, failing{errors.New(echo(r))})(r)
		},
	}
	for name, transport := range transports {
		for _, k := range kinds() {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				_, err := k.make(&Client{Transport: transport}).Fetch(t.Context(), k.ask())
				if err == nil {
					t.Fatal("no error")
				}
				checkQuiet(t, err)
			})
		}
	}
}

// net/http prints a malformed status line as received.
func TestBrokenStatusLine(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, r.URL.Query().Get("secret")+" "+url.QueryEscape(r.URL.Query().Get("secret"))+"\r\n\r\n")
	})
	_, err := token(c).Fetch(t.Context(), Ask{})
	mustTransportError(t, err)
	checkQuiet(t, err)
	if !strings.Contains(err.Error(), secret.Redacted) {
		t.Errorf("net/http no longer shows the line, and this test shows nothing: %v", err)
	}
}
