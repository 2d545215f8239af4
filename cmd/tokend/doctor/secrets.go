package doctor

import (
	"context"
	"errors"
	"strings"

	"tokend/clientlib"
	"tokend/daemon/advice"
)

// account reports whether name is a credential that only needs an account's own secret or ticket.
func account(name string) bool {
	parts := strings.Split(name, "/")
	switch family, word := parts[0], parts[len(parts)-1]; family {
	case "official_account", "mini_program":
		return word == "access_token"
	case "work":
		return word == "access_token" && len(parts) == 4
	case "open_platform":
		return word == "component_access_token"
	case "open_work":
		return word == "provider_access_token" || word == "suite_access_token"
	}
	return false
}

// secrets tries the secret of each account once, if Ask is set. A token that WeChat has issued
// shows that the secret was accepted, so a valid one is not fetched again. The daemon counts the
// calls, and refuses those that a quota does not allow.
func (d *Doctor) secrets(ctx context.Context) {
	if !d.Ask {
		d.skip("secrets", "", d.say("not tried: tokend doctor --ask makes one call for each account"))
		return
	}
	accepted := 0
	for _, l := range d.state.all {
		if !account(l.Name) || ctx.Err() != nil {
			continue
		}
		if err := d.try(ctx, l); err != nil {
			m := d.details(ctx, l.Name)
			remedy := d.Hint(err)
			if do := d.Language.Advise(advice.Topic(m["advice"]), advice.Subject{Name: l.Name, Parent: m["parent"], Address: m["address"]}); do.Text != "" {
				remedy = do.String()
			}
			d.fail(d.Exit(err), "secrets", l.Name, d.Message(err), remedy)
			continue
		}
		accepted++
	}
	if err := ctx.Err(); err != nil {
		d.fail(exitLater, "secrets", "", d.say("not all were tried: the time is over"), d.say("allow more time with --timeout"))
	}
	if accepted > 0 {
		d.ok("secrets", "", d.say("WeChat accepts the secrets of %d accounts", accepted))
	}
}

// try gets a token. A hold does not prevent the call, as an operator may have fixed its cause.
func (d *Doctor) try(ctx context.Context, l clientlib.Listing) error {
	ctx, cancel := context.WithTimeout(ctx, clientlib.DefaultTimeout)
	defer cancel()
	if l.State != "held" {
		_, err := d.Client.Get(ctx, l.Name)
		return err
	}
	_, err := d.Client.Refresh(ctx, l.Name)
	if errors.Is(err, clientlib.ErrDenied) || errors.Is(err, clientlib.ErrLimited) { // by the daemon, without a call
		_, err = d.Client.Get(ctx, l.Name) // the error that caused the hold
	}
	return err
}
