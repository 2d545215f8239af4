// Package page surrounds the code of docs/go-workwx.md.
package page

import (
	"net/http"

	workwx "github.com/xen0n/go-workwx"

	"tokend/clientlib"
	"tokend/clientlib/sdktest/pages/run"
)

var (
	_ *http.Client
	_ *clientlib.Tokens
)

func useApp(app *workwx.WorkwxApp) error {
	err := run.Use(run.Work, func() error { _, err := app.GetUser("sheldon"); return err })
	if err != nil {
		return err
	}
	return run.Use("", func() error {
		if _, err := app.GetJSAPITicket(); err != nil {
			return err
		}
		_, err := app.GetJSAPITicketAgentConfig()
		return err
	})
}
