package fetchers

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkFetch makes a customer's call and reads an answer of WeChat's size over a transport
// without cost.
func BenchmarkFetch(b *testing.B) {
	body := `{"authorizer_access_token":"` + strings.Repeat("a", 512) + `","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@` + strings.Repeat("b", 43) + `"}`
	read := strings.NewReader(body)
	c := &Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(read), ContentLength: int64(len(body)), Request: r}, nil
	})}
	f := AuthorizerToken{Client: c, AppID: "wxcomponent", AuthorizerAppID: "wxauthorizer"}
	ask := Ask{Parent: "component", Grant: "refreshtoken@@@old"}
	b.ReportAllocs()
	for b.Loop() {
		read.Reset(body)
		if _, err := f.Fetch(b.Context(), ask); err != nil {
			b.Fatal(err)
		}
	}
}
