// Package officialAccount has the shape of the package of PowerWeChat v3.2, as far as
// docs/powerwechat.md uses it.
package officialAccount

import (
	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/officialAccount/auth"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/officialAccount/base"
)

// UserConfig is the configuration of an official account.
type UserConfig struct {
	AppID  string
	Secret string
}

// OfficialAccount is an official account.
type OfficialAccount struct {
	Base        *base.Client
	AccessToken *auth.AccessToken
}

// NewOfficialAccount returns an official account.
func NewOfficialAccount(c *UserConfig) (*OfficialAccount, error) {
	token := &kernel.AccessToken{AppID: c.AppID, Secret: c.Secret}
	return &OfficialAccount{Base: &base.Client{Token: token}, AccessToken: &auth.AccessToken{AccessToken: token}}, nil
}
