package catalog

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestMalformedEntriesLogged(t *testing.T) {
	var out bytes.Buffer
	l := lister{skipping{}, "open_platform/wxc", hclog.New(&hclog.LoggerOptions{Output: &out})}
	if page, err := l.Page(t.Context(), "parent", 500, 500); err != nil || page.Len() != 3 {
		t.Errorf("got %+v, %v", page, err)
	}
	if text := out.String(); strings.Count(text, `owner=open_platform/wxc offset=500 skipped=2 first="in list[3]: not read"`) != 1 {
		t.Errorf("logged %s", text)
	}
}

// skipping is a page with malformed entries.
type skipping struct{}

func (skipping) Page(context.Context, secret.Text, int, int) (fetchers.AuthorizerPage, error) {
	return fetchers.AuthorizerPage{Total: 3, Authorizers: make([]fetchers.ListedAuthorizer, 1),
		Skipped: []error{errors.New("in list[3]: not read"), errors.New("in list[4]: not read")}}, nil
}
