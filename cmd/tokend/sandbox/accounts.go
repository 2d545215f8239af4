package sandbox

import (
	"fmt"
	"strconv"
	"strings"

	"tokend/fetchers/wechattest"
)

// Account is one account, for WeChat and for tokend's configuration. Its secret is valid only in a
// sandbox.
type Account struct {
	Family   string // the first segment of its credentials' names
	ID       string // appid or corpid
	AgentID  string // of an app of a corp, or empty
	Secret   string
	Rotating bool // tokens come from /cgi-bin/token, and a new one invalidates the old

	Downstream []Downstream // of an app of a corp
}

// Downstream is a corp that an app is shared with.
type Downstream struct {
	CorpID       string
	AgentID      int // the app's agentid in that corp
	BusinessType int
}

// Accounts returns the accounts of every sandbox: one of each family, two apps of one corp, one of
// them shared with two downstream corps, and an official account with rotating tokens.
func Accounts() []Account {
	return []Account{
		{Family: "official_account", ID: "wxsandboxofficial", Secret: "sandbox-secret-of-the-official-account"},
		{Family: "official_account", ID: "wxsandboxrotating", Secret: "sandbox-secret-of-the-rotating-account", Rotating: true},
		{Family: "mini_program", ID: "wxsandboxmini", Secret: "sandbox-secret-of-the-mini-program"},
		{Family: "work", ID: "wwsandboxcorp", AgentID: "1000002", Secret: "sandbox-secret-of-app-1000002", Downstream: []Downstream{
			{CorpID: "wwsandboxdownstream", AgentID: 1000005, BusinessType: 1},
			{CorpID: "wwsandboxlinked", AgentID: 1000006, BusinessType: 0},
		}},
		{Family: "work", ID: "wwsandboxcorp", AgentID: "1000003", Secret: "sandbox-secret-of-app-1000003"},
		{Family: "open_work", ID: "wwsandboxprovider", Secret: "sandbox-secret-of-the-provider"},
	}
}

// AddTo adds a to w.
func (a Account) AddTo(w *wechattest.WeChat) {
	switch a.Family {
	case "work":
		w.AddApp(a.ID, a.AgentID, a.Secret)
		for _, d := range a.Downstream {
			w.AddDownstream(a.ID, a.AgentID, d.CorpID, d.AgentID, d.BusinessType)
		}
	case "open_work":
		w.AddProvider(a.ID, a.Secret)
	default:
		w.AddAccount(a.ID, a.Secret)
	}
}

// Names returns the names of the account's credentials, parents first.
func (a Account) Names() []string {
	owner := a.Family + "/" + a.ID
	var words []string
	switch a.Family {
	case "official_account":
		words = []string{"access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket"}
	case "mini_program":
		words = []string{"access_token"}
	case "work":
		owner += "/" + a.AgentID
		words = []string{"access_token", "jsapi_ticket", "agent_config_ticket"}
		for _, d := range a.Downstream {
			words = append(words, d.CorpID+"/access_token")
		}
	case "open_work":
		words = []string{"provider_access_token"}
	}
	names := make([]string, 0, len(words))
	for _, w := range words {
		names = append(names, owner+"/"+w)
	}
	return names
}

// toml returns the account's table of the configuration.
func (a Account) toml() string {
	var b strings.Builder
	key := func(k, v string) { fmt.Fprintf(&b, "%s = %q\n", k, v) }
	fmt.Fprintf(&b, "[[%s]]\n", a.Family)
	switch a.Family {
	case "work":
		key("corp_id", a.ID)
		key("agent_id", a.AgentID)
		key("secret", a.Secret)
		for _, d := range a.Downstream {
			b.WriteString("[[work.downstream]]\n")
			key("corp_id", d.CorpID)
			key("agent_id", strconv.Itoa(d.AgentID))
			fmt.Fprintf(&b, "business_type = %d\n", d.BusinessType)
		}
	case "open_work":
		key("corp_id", a.ID)
		key("provider_secret", a.Secret)
	default:
		key("app_id", a.ID)
		key("secret", a.Secret)
	}
	if a.Rotating {
		b.WriteString("use_stable_access_token = false\n")
	}
	return b.String()
}
