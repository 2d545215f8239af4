package catalog

import (
	"fmt"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/inbox"
	"tokend/daemon/refresh"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// The lifetime of authorization codes. WeCom documents ten minutes. The Open Platform documents
// none, and tokend assumes one hour.
const (
	componentCodeLife = time.Hour
	suiteCodeLife     = 10 * time.Minute
)

// Owners returns the receivers of pushes for the inbox.
func Owners(file *config.Config) ([]inbox.Owner, error) {
	var all []inbox.Owner
	for _, p := range file.OpenPlatforms {
		c := newComponent(p, &Upstream{})
		callback, err := opener(p.Token, p.AESKey, p.PreviousToken, p.PreviousAESKey, p.AppID)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.path, err)
		}
		all = append(all, inbox.Owner{
			Path: c.path, Callback: callback, Ticket: c.path + "/component_verify_ticket", Grant: c.grant, CodeLife: componentCodeLife,
		})
	}
	for _, w := range file.OpenWork {
		for _, cfg := range w.Suites {
			s := newSuite(cfg, &Upstream{})
			// An event may be encrypted for the suite or for its provider.
			open := func(receivers ...string) (*fetchers.Callback, error) {
				return opener(cfg.Token, cfg.AESKey, cfg.PreviousToken, cfg.PreviousAESKey, receivers...)
			}
			callback, err := open(cfg.SuiteID, w.CorpID)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.path, err)
			}
			verify, err := open(w.CorpID)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.path, err)
			}
			all = append(all, inbox.Owner{
				Path: s.path, Callback: callback, Verify: verify, Ticket: s.path + "/suite_ticket", Grant: s.grant, CodeLife: suiteCodeLife,
			})
		}
	}
	return all, nil
}

// opener returns a Callback that opens pushes with an owner's current or previous secrets.
func opener(token, aesKey, previousToken, previousKey secret.Text, receivers ...string) (*fetchers.Callback, error) {
	c, err := fetchers.NewCallback(token, aesKey, receivers...)
	if err != nil {
		return nil, err
	}
	return c.WithPrevious(previousToken, previousKey)
}

// Seeds returns the grants in file. It calls step after each, as New does.
func Seeds(file *config.Config, step func()) []refresh.Seed {
	if step == nil {
		step = func() {}
	}
	var all []refresh.Seed
	for _, p := range file.OpenPlatforms {
		c := newComponent(p, &Upstream{})
		for _, a := range p.Authorizers {
			all = append(all, refresh.Seed{Name: c.grant(a.AppID), Value: a.RefreshToken})
			step()
		}
	}
	for _, w := range file.OpenWork {
		for _, cfg := range w.Suites {
			s := newSuite(cfg, &Upstream{})
			for _, corp := range cfg.Corps {
				all = append(all, refresh.Seed{Name: s.grant(corp.CorpID), Value: corp.PermanentCode})
				step()
			}
		}
	}
	return all
}
