package refresh

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestLogHasErrmsg holds that the log has WeChat's own text beside tokend's words, and that no
// reply has it.
func TestLogHasErrmsg(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const errmsg = "invalid credential, hint: [1700000000123456789], from ip: 192.0.2.9, more info at x"
		refuse := func() error {
			e := refusal(40125, fetchers.Misconfigured)
			e.Errmsg = errmsg
			return e
		}
		p := newPlatform("wxa")
		p.code.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, refuse() })
		p.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
			return fetchers.Authorization{}, refuse()
		}
		p.list = func(int, int) (fetchers.AuthorizerPage, error) { return fetchers.AuthorizerPage{}, refuse() }
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		_, refreshed := r.get(preAuth)
		_, exchanged := r.Exchange(t.Context(), platform, "code")
		_, imported := r.Import(t.Context(), platform, 0)
		synctest.Wait() // a flight writes its log line after it has released its waiters
		for line, err := range map[string]error{
			"refresh refused": refreshed,
			"an authorization code could not be exchanged": exchanged,
			"an endpoint is paused for all customers":      imported,
		} {
			if of := mustReason(t, err, credential.Refused); of.Message != "errcode=40125 no" {
				t.Errorf("%s: told %q", line, of.Message)
			}
			if !logs(r, line, `error="errcode=40125 no"`, `errmsg="`+errmsg+`"`) {
				t.Errorf("%s: logged\n%s", line, r.log())
			}
		}
		if s, err := r.Status(preAuth); err != nil || s.LastError != "errcode=40125 no" {
			t.Errorf("status: %q, %v", s.LastError, err)
		}
	})
}

// logs reports whether a line of r's log has all of parts.
func logs(r *rig, parts ...string) bool {
	for line := range strings.Lines(r.log()) {
		found := 0
		for _, part := range parts {
			if strings.Contains(line, part) {
				found++
			}
		}
		if found == len(parts) {
			return true
		}
	}
	return false
}
