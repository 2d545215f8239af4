// Package page surrounds the code of docs/clients.md.
package page

import (
	"context"
	"net/http"

	"tokend/clientlib"
	"tokend/clientlib/sdktest/pages/run"
)

var (
	ctx = context.Background()

	_ *clientlib.Client
)

// useUrl calls WeChat once: the example does not repeat a call.
func useUrl(url string) error {
	return run.Use("", func() error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}
