package clientlib

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// stale has the errcodes with which WeChat refuses a token, by the parameter of the query that
// carried the token. Every client library has this table: testdata/stale.json.
var stale = map[string][]int{
	"access_token":           {40001, 40014, 42001},
	"component_access_token": {40001, 40014, 42001},
	"suite_access_token":     {40014, 40082, 42001, 42009},
	"provider_access_token":  {40014, 40082, 42001},
}

// maxExamined is the longest body that may be a refusal. Refusals are short.
const maxExamined = 64 << 10

// errcode returns the errcode of resp, or 0 if it has none: its status is not 200, or its body is
// not a JSON object, or is longer than maxExamined. Afterwards, resp's body reads as before. A body
// that is not a JSON object is not read beyond its first bytes, so a download streams.
func errcode(resp *http.Response) int {
	if resp.StatusCode != http.StatusOK || resp.Body == nil || resp.ContentLength > maxExamined {
		return 0
	}
	rest := bufio.NewReader(resp.Body)
	body := &replayed{Reader: rest, Closer: resp.Body}
	resp.Body = body
	if !beginsObject(rest) {
		return 0
	}
	held, err := io.ReadAll(io.LimitReader(rest, maxExamined))
	body.Reader = io.MultiReader(bytes.NewReader(held), rest)
	if err != nil {
		body.Reader = io.MultiReader(bytes.NewReader(held), failing{err})
		return 0
	}
	if _, err := rest.Peek(1); !errors.Is(err, io.EOF) {
		return 0
	}
	var object map[string]json.RawMessage // unlike a struct, distinguishes upper and lower case
	var code int
	if json.Unmarshal(held, &object) != nil || json.Unmarshal(object["errcode"], &code) != nil {
		return 0
	}
	return code
}

// beginsObject reports whether the first byte of r that is not white space begins an object. It
// takes nothing from r.
func beginsObject(r *bufio.Reader) bool {
	for n := 1; n <= r.Size(); n++ {
		begin, err := r.Peek(n)
		if err != nil {
			return false
		}
		switch begin[n-1] {
		case ' ', '\t', '\r', '\n':
		case '{':
			return true
		default:
			return false
		}
	}
	return false
}

// replayed is a body of which a part was read.
type replayed struct {
	io.Reader
	io.Closer
}

// failing is the end of a body that could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
