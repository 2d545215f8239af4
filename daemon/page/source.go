package page

import (
	"context"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
	"tokend/daemon/throttle"
)

// Source is the daemon. Its methods may be called concurrently.
type Source interface {
	// Look returns the parts whose size does not depend on the number of accounts, and Summaries
	// until ctx ends.
	Look(ctx context.Context) survey.Survey

	// Quotas returns the budgets of which at least a part has been used.
	Quotas(ctx context.Context) []credential.Quota

	// Recent returns the last n refreshes of configured credentials, newest first.
	Recent(ctx context.Context, n int) []credential.Event

	// Details returns the statuses of those names that are configured, in the same order.
	Details(names []string) []credential.Status

	// Tickets returns the names of the configured tickets that WeChat pushes.
	Tickets() []string

	// History returns the last refreshes of a credential, newest first.
	History(name string) ([]credential.Attempt, error)

	// Children returns the names of the configured credentials that are fetched with another.
	Children(ctx context.Context, name string) []string

	// User returns the name of a user of this host.
	User(uid uint32) string

	// Begin starts work of many steps.
	Begin(ctx context.Context) *throttle.Work
}
