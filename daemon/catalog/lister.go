package catalog

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/refresh"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// lister logs the entries of a platform's customer list that could not be read.
type lister struct {
	refresh.Lister
	owner string
	log   hclog.Logger
}

func (l lister) Page(ctx context.Context, parent secret.Text, offset, count int) (fetchers.AuthorizerPage, error) {
	page, err := l.Lister.Page(ctx, parent, offset, count)
	if n := len(page.Skipped); n > 0 {
		l.log.Warn("malformed entries of WeChat's customer list skipped", "owner", l.owner, "offset", offset, "skipped", n, "first", page.Skipped[0])
	}
	return page, err
}
