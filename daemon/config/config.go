package config

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokend/fetchers/secret"
)

// DefaultFile is where the configuration lies unless another file is named.
const DefaultFile = "/etc/tokend/tokend.toml"

// Config is a complete configuration. It is not changed after Load has returned it.
type Config struct {
	File string

	Socket     string // absolute, at most 107 bytes
	SocketMode fs.FileMode
	StateDir   string // absolute

	// EncryptionKey is 32 bytes, or empty: then the store is kept in clear.
	EncryptionKey secret.Text

	LogLevel  string // trace, debug, info, warn or error
	LogFormat string // text or json

	HTTP     *HTTP // nil: no listener
	Limits   Limits
	Upstream Upstream

	OfficialAccounts []App
	MiniPrograms     []App
	OpenPlatforms    []OpenPlatform
	Work             []WorkApp
	OpenWork         []OpenWork

	// Access are the rules of who may do what; none stands for the default in
	// docs/configuration.md, which is not the same as rules that grant nothing.
	Access []Access

	// Warnings are what is allowed and probably not meant.
	Warnings []Problem
}

// HTTP is the optional listener for callbacks, metrics and the status page.
type HTTP struct {
	Listen string // host:port

	// Monitors are from where metrics and the status page may be seen besides this host.
	Monitors []netip.Prefix

	// CredentialMetrics: metrics name credentials and accounts one by one. Otherwise they are
	// counted.
	CredentialMetrics bool
	Line              int
}

// Upstream is where WeChat is.
type Upstream struct {
	WeixinURLs []string      // at least one, in the order in which they are tried; no slash at the end
	WorkURL    string        // no slash at the end
	Timeout    time.Duration // of one call; positive
}

// Equal reports whether u and v are the same.
func (u Upstream) Equal(v Upstream) bool {
	return slices.Equal(u.WeixinURLs, v.WeixinURLs) && u.WorkURL == v.WorkURL && u.Timeout == v.Timeout
}

// weixin is the URLs as one field of a digest.
func (u Upstream) weixin() string { return strings.Join(u.WeixinURLs, " ") }

// App is an official account or a mini program.
type App struct {
	Family string // official_account or mini_program: the first segment of its names
	AppID  string
	Secret secret.Text

	// UseStableAccessToken chooses /cgi-bin/stable_token over /cgi-bin/token, whose
	// tokens kill each other.
	UseStableAccessToken bool
	Line                 int

	upstream string
}

// WorkApp is one app of one corp of WeCom.
type WorkApp struct {
	CorpID     string
	AgentID    string
	Secret     secret.Text
	Downstream []Downstream // the corps that it is shared with
	Line       int

	upstream string
}

// OpenPlatform is a third-party platform, with authorizers whose grants are seeded.
type OpenPlatform struct {
	AppID       string
	Secret      secret.Text
	Token       secret.Text // signs callbacks
	AESKey      secret.Text // 43 characters; encrypts callbacks
	Authorizers []Authorizer
	Line        int

	// The ones before a change in WeChat's console, which callbacks may still use; empty for none.
	PreviousToken, PreviousAESKey secret.Text

	upstream string
}

// Authorizer is a customer of a third-party platform.
type Authorizer struct {
	AppID        string
	RefreshToken secret.Text
	Line         int
}

// OpenWork is a service provider of WeCom.
type OpenWork struct {
	CorpID         string
	ProviderSecret secret.Text
	Suites         []Suite
	Line           int

	upstream string
}

// Suite is an app that a service provider offers to corps.
type Suite struct {
	SuiteID     string
	SuiteSecret secret.Text
	Token       secret.Text // signs callbacks
	AESKey      secret.Text // 43 characters; encrypts callbacks
	Corps       []Corp
	Line        int

	// As those of an [OpenPlatform].
	PreviousToken, PreviousAESKey secret.Text

	upstream string
}

// Corp is a customer of a suite.
type Corp struct {
	CorpID        string
	PermanentCode secret.Text
	Line          int
}

// Access is a rule: whoever has one of the ids may use the verbs on the names.
type Access struct {
	UIDs  []uint32
	GIDs  []uint32
	Names []string // patterns; * stands for any characters, / too
	Verbs []string // in capitals
	Line  int
}

// Accounts returns the number of accounts in c: apps, platforms, providers and suites.
func (c *Config) Accounts() int {
	n := len(c.OfficialAccounts) + len(c.MiniPrograms) + len(c.OpenPlatforms) + len(c.Work) + len(c.OpenWork)
	for _, w := range c.OpenWork {
		n += len(w.Suites)
	}
	return n
}
