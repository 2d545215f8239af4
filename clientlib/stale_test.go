package clientlib

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestStaleTable holds that the table is the table that all client libraries share.
func TestStaleTable(t *testing.T) {
	text, err := os.ReadFile("../testdata/stale.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]int
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(stale, want, slices.Equal) {
		t.Errorf("got  %v\nwant %v", stale, want)
	}
}

// padded returns a refusal of n bytes.
func padded(n int) string {
	const begin, end = `{"errcode":40001,"errmsg":"`, `"}`
	return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
}

func TestErrcode(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		about  string
		status int
		body   io.Reader
		length int64
		want   int
		err    error // of reading the body afterwards
	}{
		{"a refusal", 200, strings.NewReader(`{"errcode":40001,"errmsg":"invalid credential"}`), -1, 40001, nil},
		{"white space", 200, strings.NewReader(" \r\n\t{ \"errcode\" : 42001 } \n"), -1, 42001, nil},
		{"success", 200, strings.NewReader(`{"errcode":0}`), -1, 0, nil},
		{"no errcode", 200, strings.NewReader(`{"ip_list":[]}`), -1, 0, nil},
		{"another status", 500, strings.NewReader(`{"errcode":40001}`), -1, 0, nil},
		{"status 201", 201, strings.NewReader(`{"errcode":40001}`), -1, 0, nil},
		{"text", 200, strings.NewReader(`{"errcode":"40001"}`), -1, 0, nil},
		{"a fraction", 200, strings.NewReader(`{"errcode":40001.5}`), -1, 0, nil},
		{"upper case", 200, strings.NewReader(`{"ErrCode":40001}`), -1, 0, nil},
		{"nested", 200, strings.NewReader(`{"data":{"errcode":40001}}`), -1, 0, nil},
		{"an array", 200, strings.NewReader(`[{"errcode":40001}]`), -1, 0, nil},
		{"half an object", 200, strings.NewReader(`{"errcode":40001`), -1, 0, nil},
		{"more than an object", 200, strings.NewReader(`{"errcode":40001} {}`), -1, 0, nil},
		{"empty", 200, strings.NewReader(""), 0, 0, nil},
		{"white space only", 200, strings.NewReader(strings.Repeat(" ", 10000)), -1, 0, nil},
		{"HTML", 200, strings.NewReader("<html>40001</html>"), -1, 0, nil},
		{"the longest", 200, strings.NewReader(padded(maxExamined)), -1, 40001, nil},
		{"the longest, with its length", 200, strings.NewReader(padded(maxExamined)), maxExamined, 40001, nil},
		{"too long", 200, strings.NewReader(padded(maxExamined + 1)), -1, 0, nil},
		{"too long, with its length", 200, strings.NewReader(padded(maxExamined + 1)), maxExamined + 1, 0, nil},
		{"broken off", 200, io.MultiReader(strings.NewReader(`{"errcode":40001`), failing{broken}), -1, 0, broken},
		{"broken off after the object", 200, io.MultiReader(strings.NewReader(`{"errcode":40001}`), failing{broken}), -1, 0, broken},
	} {
		t.Run(tt.about, func(t *testing.T) {
			var whole bytes.Buffer
			resp := &http.Response{StatusCode: tt.status, Body: io.NopCloser(io.TeeReader(tt.body, &whole)), ContentLength: tt.length}
			if got := errcode(resp); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if whole.Len() > maxExamined+4096 {
				t.Errorf("%d bytes were read ahead", whole.Len())
			}
			got, err := io.ReadAll(resp.Body)
			if !errors.Is(err, tt.err) || !bytes.Equal(got, whole.Bytes()) {
				t.Errorf("the body reads as %d bytes of %d, error %v", len(got), whole.Len(), err)
			}
		})
	}
}
