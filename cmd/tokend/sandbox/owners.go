package sandbox

import (
	"fmt"
	"strings"

	"tokend/fetchers/wechattest"
)

// Owner is a third-party platform or a suite of a service provider, which customers authorize, for
// WeChat and for tokend's configuration. Its secrets are valid only in a sandbox.
type Owner struct {
	ID       string // component appid or suite id
	Provider string // corpid of a suite's provider; empty for a platform
	Secret   string
	Token    string // signs pushes
	AESKey   string // encrypts pushes

	// Customer authorizes the owner at the start of every sandbox.
	Customer string
}

// Owners returns the platform and the suites of every sandbox: one of each kind, and a template of
// custom-developed apps, whose permanent codes are secrets.
func Owners() []Owner {
	const provider = "wwsandboxprovider" // in Accounts
	return []Owner{
		{
			ID: "wxsandboxplatform", Secret: "sandbox-secret-of-the-platform", Token: "sandbox-platform-signs",
			AESKey: "sandboxkeyoftheplatform0000000000000000000A", Customer: "wxsandboxcustomer",
		},
		{
			ID: "wwsandboxsuite", Provider: provider, Secret: "sandbox-secret-of-the-suite", Token: "sandbox-suite-signs",
			AESKey: "sandboxkeyofthesuite0000000000000000000000E", Customer: "wwsandboxcustomer",
		},
		{
			ID: "dksandboxtemplate", Provider: provider, Secret: "sandbox-secret-of-the-template", Token: "sandbox-template-signs",
			AESKey: "sandboxkeyofthetemplate0000000000000000000I", Customer: "wwsandboxcustomer",
		},
	}
}

// AddTo adds o to w. Its provider must be an account of w.
func (o Owner) AddTo(w *wechattest.WeChat) {
	if o.Provider == "" {
		w.AddPlatform(o.ID, o.Secret, o.Token, o.AESKey)
		return
	}
	w.AddSuite(o.Provider, o.ID, o.Secret, o.Token, o.AESKey)
}

// Path returns the prefix of the names of o's credentials, which is also the end of the callback
// URL.
func (o Owner) Path() string {
	if o.Provider == "" {
		return "open_platform/" + o.ID
	}
	return "open_work/" + o.ID
}

// toml returns o's table of the configuration. A suite's table follows its provider's.
func (o Owner) toml() string {
	var b strings.Builder
	key := func(k, v string) { fmt.Fprintf(&b, "%s = %q\n", k, v) }
	if o.Provider == "" {
		b.WriteString("[[open_platform]]\n")
		key("app_id", o.ID)
		key("secret", o.Secret)
	} else {
		b.WriteString("[[open_work.suite]]\n")
		key("suite_id", o.ID)
		key("suite_secret", o.Secret)
	}
	key("token", o.Token)
	key("aes_key", o.AESKey)
	return b.String()
}
