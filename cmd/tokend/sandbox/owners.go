package sandbox

import (
	"fmt"
	"strings"

	"tokend/fetchers/wechattest"
)

// Owner is whoever customers authorize, as WeChat has it and as tokend is configured for it:
// a third-party platform, or a suite of a service provider. Its secrets open nothing but a
// sandbox.
type Owner struct {
	ID       string // component appid or suite id
	Provider string // of a suite: its provider's corpid; empty for a platform
	Secret   string
	Token    string // signs pushes
	AESKey   string // encrypts them

	// Customer authorizes the owner by itself in every sandbox.
	Customer string
}

// Owners returns the platform and the suites of every sandbox: one of each kind, and a template
// of custom-developed apps, whose permanent codes are secrets.
func Owners() []Owner {
	const provider = "wwsandboxprovider" // of Accounts
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

// AddTo makes o known to w. Its provider must be an account of w's.
func (o Owner) AddTo(w *wechattest.WeChat) {
	if o.Provider == "" {
		w.AddPlatform(o.ID, o.Secret, o.Token, o.AESKey)
		return
	}
	w.AddSuite(o.Provider, o.ID, o.Secret, o.Token, o.AESKey)
}

// Path returns what the names of o's credentials begin with, and the end of its callback's
// address.
func (o Owner) Path() string {
	if o.Provider == "" {
		return "open_platform/" + o.ID
	}
	return "open_work/" + o.ID
}

// toml returns o's table of the configuration. That of a suite belongs behind its
// provider's.
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
