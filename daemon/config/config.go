package config

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokend/daemon/alias"
	"tokend/fetchers/secret"
)

// DefaultFile is the path of the configuration unless the command line names another.
const DefaultFile = "/etc/tokend/tokend.toml"

// Config is a complete configuration. It must not be modified.
type Config struct {
	File string

	Socket     string // absolute, at most 107 bytes
	SocketMode fs.FileMode
	StateDir   string // absolute

	// EncryptionKey is 32 bytes. If it is empty, the store is not encrypted.
	EncryptionKey secret.Text

	LogLevel  string // trace, debug, info, warn or error
	LogFormat string // text or json

	HTTP     *HTTP  // nil: no listener
	Pages    *Pages // nil: no listener
	Limits   Limits
	Upstream Upstream

	OfficialAccounts []App
	MiniPrograms     []App
	OpenPlatforms    []OpenPlatform
	Work             []WorkApp
	OpenWork         []OpenWork

	// Access are the access rules. Without rules the default in docs/configuration.md applies.
	Access []Access

	// Aliases are keys of other programs that stand for credentials' names.
	Aliases []alias.Alias

	// Warnings are settings that are valid and probably mistakes.
	Warnings []Problem
}

// HTTP is the optional listener for callbacks.
type HTTP struct {
	Listen string // host:port
	Line   int
}

// Pages is the optional listener for the status page and metrics.
type Pages struct {
	Listen string // host:port, or "unix:" and an absolute path

	// Monitors are the networks whose users may see the pages, besides the users of this host with
	// the rights.
	Monitors []netip.Prefix

	// CredentialMetrics reports whether metrics have a series for each configured credential and
	// account. Totals are always there.
	CredentialMetrics bool
	Line              int
}

// Upstream configures the calls to WeChat and WeCom.
type Upstream struct {
	WeixinURLs []string      // at least one, in order of preference; without a trailing slash
	WorkURL    string        // without a trailing slash
	Timeout    time.Duration // of one call; positive
}

// Equal reports whether u and v are the same.
func (u Upstream) Equal(v Upstream) bool {
	return slices.Equal(u.WeixinURLs, v.WeixinURLs) && u.WorkURL == v.WorkURL && u.Timeout == v.Timeout
}

// weixin returns the WeChat URLs as one field of a digest.
func (u Upstream) weixin() string { return strings.Join(u.WeixinURLs, " ") }

// App is an official account or a mini program.
type App struct {
	Family string // official_account or mini_program: the first segment of its names
	AppID  string
	Secret secret.Text

	// UseStableAccessToken selects /cgi-bin/stable_token instead of /cgi-bin/token. A token from
	// /cgi-bin/token invalidates the previous one.
	UseStableAccessToken bool
	Line                 int

	upstream string
}

// WorkApp is one app of a WeCom corp.
type WorkApp struct {
	CorpID     string
	AgentID    string
	Secret     secret.Text
	Downstream []Downstream // the corps that share the app
	Line       int

	upstream string
}

// OpenPlatform is a third-party platform. Authorizers are the customers whose grants the
// configuration supplies.
type OpenPlatform struct {
	AppID       string
	Secret      secret.Text
	Token       secret.Text // signs callbacks
	AESKey      secret.Text // 43 characters; encrypts callbacks
	Authorizers []Authorizer
	Line        int

	// The token and key before a change in WeChat's console. Callbacks may still use them. Empty
	// for none.
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

	// See [OpenPlatform].
	PreviousToken, PreviousAESKey secret.Text

	upstream string
}

// Corp is a customer of a suite.
type Corp struct {
	CorpID        string
	PermanentCode secret.Text
	Line          int
}

// Access is a rule: users with one of the ids may use the verbs on the names.
type Access struct {
	UIDs  []uint32
	GIDs  []uint32
	Names []string // patterns; * matches any characters, including /
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
