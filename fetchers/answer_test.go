package fetchers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answers that the golden files, which are whole JSON files, cannot contain.
func TestNonsense(t *testing.T) {
	const good = `{"access_token":"a","expires_in":7200}`
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"nothing", 200, "", "the answer is empty"},
		{"blanks", 200, " \r\n", "the answer is empty"},
		{"a web page", 200, "<!doctype html><title>502</title>", "the answer is a web page, not JSON"},
		{"truncated JSON", 200, good[:20], "the answer is not JSON or is truncated"},
		{"JSON and more", 200, good + good, "the answer is not JSON or is truncated"},
		{"an array", 200, "[" + good + "]", "the answer is not a JSON object"},
		{"null", 200, "null", "the answer is not a JSON object"},
		{"an empty object", 200, "{}", "the answer has no access_token"},
		{"502 with a page", 502, "<html>", "HTTP 502"},
		{"502 with a token", 502, good, "HTTP 502"},
		{"412 with an errcode", 412, `{"errcode":40013,"errmsg":"x"}`, "HTTP 412, errcode=40013"},
		{"500 with errcode 0", 500, `{"errcode":0}`, "HTTP 500"},
		{"a redirect", 302, good, "HTTP 302"},
		{"201", 201, good, "HTTP 201"},
		{"errcode of another type", 200, `{"errcode":true}`, "errcode is not a whole number"},
		{"errcode with a fraction", 200, `{"errcode":40013.5}`, "errcode is not a whole number"},
		{"errcode out of range", 200, `{"errcode":1e300}`, "errcode is not a whole number"},
		{"errcode empty", 200, `{"errcode":""}`, "errcode is not a whole number"},
		{"token not a string", 200, `{"access_token":7,"expires_in":7200}`, "access_token is not a string"},
		{"token null", 200, `{"access_token":null,"expires_in":7200}`, "the answer has no access_token"},
		{"token under another key", 200, `{"Access_Token":"a","expires_in":7200}`, "the answer has no access_token"},
		{"token with a space", 200, `{"access_token":"a b","expires_in":7200}`, "access_token contains invalid characters"},
		{"token with a newline", 200, `{"access_token":"a\nb","expires_in":7200}`, "access_token contains invalid characters"},
		{"token with NUL", 200, `{"access_token":"a\u0000","expires_in":7200}`, "access_token contains invalid characters"},
		{"token not ASCII", 200, `{"access_token":"中","expires_in":7200}`, "access_token contains invalid characters"},
		{"token too long", 200, `{"access_token":"` + strings.Repeat("a", maxValue+1) + `","expires_in":7200}`, "access_token is longer than 4096 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{Transport: answering(tt.status, strings.NewReader(tt.body))}
			got, err := AccessToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
			te := mustTransportError(t, err)
			if got := te.Err.Error(); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if !te.Sent || got != (Token{}) {
				t.Errorf("got sent %v, token %v", te.Sent, got)
			}
		})
	}
}

func TestLife(t *testing.T) {
	tests := []struct {
		in   string // as JSON
		want time.Duration
	}{
		{`7200`, 2 * time.Hour},
		{`1`, time.Second},
		{`"6"`, 6 * time.Second},
		{`7200.0`, 2 * time.Hour},
		{`7.2e3`, 2 * time.Hour},
		{`2592000`, MaxLife},
		{`2592001`, 0},
		{`0`, 0}, {`-0`, 0}, {`"0"`, 0}, {`-7200`, 0}, {`"-1"`, 0},
		{`0.5`, 0}, {`1.5`, 0}, {`"1.5"`, 0}, {`1e-400`, 0},
		{`1e12`, 0}, {`1e400`, 0}, {`-1e400`, 0}, {`31536000`, 0}, {`99999999999999999999`, 0},
		{`""`, 0}, {`" 7200"`, 0}, {`"7200 "`, 0}, {`"07200"`, 0}, {`"+7200"`, 0}, {`"0x10"`, 0}, {`"1_0"`, 0},
		{`"inf"`, 0}, {`"NaN"`, 0}, {`"7200s"`, 0}, {`"null"`, 0}, {`"[]"`, 0},
		{`null`, 0}, {`true`, 0}, {`[7200]`, 0}, {`{}`, 0},
	}
	for _, tt := range tests {
		got, err := object{members: []member{{"expires_in", json.RawMessage(tt.in)}}}.life()
		if got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("expires_in %s: got %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

// endless is a body that never ends.
type endless struct{ read, closed int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func (e *endless) Close() error { e.closed++; return nil }

func TestHugeAnswer(t *testing.T) {
	for _, length := range []int64{-1, 100 << 20} {
		body := new(endless)
		c := &Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body, ContentLength: length, Request: r}, nil
		})}
		_, err := AccessToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
		if te := mustTransportError(t, err); te.Err != errTooLarge {
			t.Errorf("length %d: got %v", length, err)
		}
		if body.read > 2*maxBody || body.closed != 1 {
			t.Errorf("length %d: read %d bytes, closed %d times", length, body.read, body.closed)
		}
	}
}

// TestLargestAnswer: an answer may have maxBody bytes, whatever length it announces. The announced
// length takes no memory before the bytes arrive.
func TestLargestAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		bytes  int
		stated int64
		good   bool
	}{
		{"largest", maxBody, maxBody, true},
		{"largest, length unknown", maxBody, -1, true},
		{"larger by one", maxBody + 1, maxBody + 1, false},
		{"larger by one, length unknown", maxBody + 1, -1, false},
		{"small, length absurd", 100, 1 << 50, true},
		{"small, length larger by one", 100, maxBody + 1, true},
	} {
		c := &Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			answer, err := answering(200, strings.NewReader(goodAnswer+strings.Repeat(" ", test.bytes-len(goodAnswer))))(r)
			answer.ContentLength = test.stated
			return answer, err
		})}
		got, err := AccessToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
		if test.good && (err != nil || got.Value != "tok-01") || !test.good && mustTransportError(t, err).Err != errTooLarge {
			t.Errorf("%s: got %v, %v", test.name, got.Value, err)
		}
	}
}

func TestBodyCutShort(t *testing.T) {
	body := io.MultiReader(strings.NewReader(`{"access_token":`), failing{io.ErrUnexpectedEOF})
	c := &Client{Transport: answering(200, body)}
	_, err := AccessToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
	if te := mustTransportError(t, err); te.Err.Error() != io.ErrUnexpectedEOF.Error() || !te.Sent {
		t.Errorf("got %v, sent %v", err, te.Sent)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func ExampleAPIError() {
	err := &APIError{Endpoint: "/cgi-bin/stable_token", Code: 40125, Msg: "invalid appsecret"}
	fmt.Println(err)
	// Output: errcode=40125 invalid appsecret
}
