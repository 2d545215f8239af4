package wechattest

import (
	"strconv"
	"strings"
	"time"
)

// account is a caller: an official account, a mini program, a corp's app, a service provider, a
// platform, a suite, or a customer.
type account struct {
	// id identifies the account in counts; see [Call.Account].
	id   string
	corp string // on WeCom

	owner *owner // of a platform or a suite: the owner itself
	grant *grant // of a customer: its grant

	secret string    // customers have none
	frozen bool      // official accounts: the secret is frozen in the console
	forced time.Time // time of the last effective forced refresh

	shares map[share]*account // of an app: the downstream corps that share it

	sequences map[universe]*sequence
}

func (a *account) sequence(u universe) *sequence {
	s := a.sequences[u]
	if s == nil {
		s = new(sequence)
		a.sequences[u] = s
	}
	return s
}

// accounts are all accounts, by the IDs that calls contain.
type accounts struct {
	official  map[string]*account            // by appid
	apps      map[string]map[string]*account // by corpid and agentid
	providers map[string]*account            // by corpid
	owners    map[string]*owner              // by component appid and suite id
}

func newAccounts() accounts {
	return accounts{
		official:  map[string]*account{},
		apps:      map[string]map[string]*account{},
		providers: map[string]*account{},
		owners:    map[string]*owner{},
	}
}

// app returns the app of a corp with the secret, or nil.
func (as accounts) app(corpid, secret string) *account {
	for _, a := range as.apps[corpid] {
		if a.secret == secret {
			return a
		}
	}
	return nil
}

// byID returns the accounts with the ID, of all types.
func (as accounts) byID(id string) []*account {
	var found []*account
	for _, m := range []map[string]*account{as.official, as.providers} {
		if a := m[id]; a != nil {
			found = append(found, a)
		}
	}
	first, second, _ := strings.Cut(id, "/")
	if a := as.apps[first][second]; a != nil {
		found = append(found, a)
	}
	agent, downstream, _ := strings.Cut(second, "/")
	if app := as.apps[first][agent]; app != nil {
		for s, a := range app.shares {
			if s.corp == downstream {
				found = append(found, a)
			}
		}
	}
	if o := as.owners[first]; o != nil {
		if g := o.grants[second]; g != nil {
			found = append(found, g.account)
		} else if second == "" {
			found = append(found, o.account)
		}
	}
	return found
}

func put[K comparable](m map[K]*account, key K, a account) *account {
	if old := m[key]; old != nil {
		old.secret = a.secret
		return old
	}
	a.sequences = map[universe]*sequence{}
	m[key] = &a
	return &a
}

// AddAccount adds an official account or a mini program. For an existing one it changes the secret;
// its tokens stay valid.
func (w *WeChat) AddAccount(appid, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addAccount(appid, secret)
}

func (w *WeChat) addAccount(appid, secret string) *account {
	return put(w.accounts.official, appid, account{id: appid, secret: secret})
}

// AddApp adds an app of a corp. Its calls are counted for "corpid/agentid". For an existing one
// AddApp changes the secret; its tokens stay valid.
func (w *WeChat) AddApp(corpid, agentid, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addApp(corpid, agentid, secret)
}

func (w *WeChat) addApp(corpid, agentid, secret string) *account {
	apps := w.accounts.apps[corpid]
	if apps == nil {
		apps = map[string]*account{}
		w.accounts.apps[corpid] = apps
	}
	return put(apps, agentid, account{id: corpid + "/" + agentid, corp: corpid, secret: secret})
}

// registerApp creates an app for a call with an unknown secret. The call does not contain an
// agentid, so the apps are numbered.
func (w *WeChat) registerApp(corpid, secret string) *account {
	for n := len(w.accounts.apps[corpid]) + 1; ; n++ {
		agentid := "app" + strconv.Itoa(n)
		if w.accounts.apps[corpid][agentid] == nil {
			return w.addApp(corpid, agentid, secret)
		}
	}
}

// AddProvider adds a service provider of WeCom. For an existing one it changes the secret; its
// tokens stay valid.
func (w *WeChat) AddProvider(corpid, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addProvider(corpid, secret)
}

func (w *WeChat) addProvider(corpid, secret string) *account {
	return put(w.accounts.providers, corpid, account{id: corpid, corp: corpid, secret: secret})
}

// SetFrozen freezes or unfreezes the secret of an official account (errcode 40243 for both its
// tokens). The real WeChat takes ten minutes for that.
func (w *WeChat) SetFrozen(appid string, frozen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.accounts.official[appid]; a != nil {
		a.frozen = frozen
	}
}
