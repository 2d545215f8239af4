package catalog

import (
	"iter"
	"strings"

	"tokend/daemon/policy"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// family is what accounts of one type have in common: an access token and tickets.
type family struct {
	host    int
	token   *policy.Policy
	tickets []ticket

	// shared is whether several accounts have one owner, which is their path without the last
	// segment.
	shared bool
}

// ticket is a credential that is fetched with an account's access token. Its fetcher is the same
// for all accounts.
type ticket struct {
	word    string
	policy  *policy.Policy
	fetcher refresh.Fetcher
}

// families are the families of one configuration.
type families struct{ official, rotatingOfficial, mini, rotatingMini, work *family }

func newFamilies(up *Upstream) families {
	tickets := []ticket{
		{"jsapi_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.JSAPI}},
		{"wx_card_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.WXCard}},
		{"sdk_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.SDK}},
	}
	return families{
		official:         &family{host: weixinHost, token: policy.StableToken, tickets: tickets},
		rotatingOfficial: &family{host: weixinHost, token: policy.RotatingToken, tickets: tickets},
		mini:             &family{host: weixinHost, token: policy.StableToken},
		rotatingMini:     &family{host: weixinHost, token: policy.RotatingToken},
		work: &family{host: workHost, token: policy.CorpToken, shared: true, tickets: []ticket{
			{"jsapi_ticket", policy.CorpTicket, fetchers.CorpTicket{Client: up.work}},
			{"agent_config_ticket", policy.CorpTicket, fetchers.AgentTicket{Client: up.work}},
		}},
	}
}

const tokenWord = "/access_token"

// account is a configured account of a family. Its specs are made when they are needed: there may
// be tens of thousands of accounts, and the specs of one take 2 kB.
type account struct {
	*family
	names    string // of its credentials, one after the other, the token's first
	path     int    // the length of the names' common beginning
	settings string
	fetcher  refresh.Fetcher // of the token
}

func newAccount(f *family, path, settings string, token refresh.Fetcher) account {
	var names strings.Builder
	size := len(path) + len(tokenWord)
	for _, t := range f.tickets {
		size += len(path) + 1 + len(t.word)
	}
	names.Grow(size)
	names.WriteString(path)
	names.WriteString(tokenWord)
	for _, t := range f.tickets {
		names.WriteString(path)
		names.WriteByte('/')
		names.WriteString(t.word)
	}
	return account{family: f, names: names.String(), path: len(path), settings: settings, fetcher: token}
}

// pays returns the owner whose quota the account uses.
func (a *account) pays() string {
	path := a.names[:a.path]
	if a.shared {
		return path[:strings.LastIndexByte(path, '/')]
	}
	return path
}

// each yields the names of the account's credentials, and their tickets, which is nil for the
// token.
func (a *account) each(yield func(name string, t *ticket) bool) {
	end := a.path + len(tokenWord)
	if !yield(a.names[:end], nil) {
		return
	}
	for i := range a.tickets {
		t, begin := &a.tickets[i], end
		if end += a.path + 1 + len(t.word); !yield(a.names[begin:end], t) {
			return
		}
	}
}

// spec returns the spec of a credential that each yields.
func (a *account) spec(name string, t *ticket) refresh.Spec {
	path := a.names[:a.path]
	s := owner{host: a.host, path: path, pays: a.pays(), settings: a.settings, whole: name}.root("", a.token, a.fetcher)
	if t != nil {
		a.change(&s, name, t)
	}
	return s
}

// change makes s, the spec of another credential of the account, that of the ticket t.
func (a *account) change(s *refresh.Spec, name string, t *ticket) {
	s.Name, s.Account, s.Parent = name, name, a.names[:a.path+len(tokenWord)]
	s.Policy, s.Fetcher = t.policy, t.fetcher
}

// specs yields the specs in s, one after the other.
func (a *account) specs(s *refresh.Spec) iter.Seq[*refresh.Spec] {
	return func(yield func(*refresh.Spec) bool) {
		for name, t := range a.each {
			if t == nil {
				*s = a.spec(name, nil)
			} else {
				a.change(s, name, t)
			}
			if !yield(s) {
				return
			}
		}
	}
}
