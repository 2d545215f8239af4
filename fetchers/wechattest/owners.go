package wechattest

import (
	"strings"
	"time"
)

// owner is whoever customers authorize: a third-party platform, also called a
// component, or a suite of a service provider.
type owner struct {
	account *account
	suite   bool

	provider string   // of a suite: its provider's corpid
	token    string   // signs pushes
	key      [32]byte // encrypts them

	grants    map[string]*grant // by the customer's id
	customers []*grant          // the same, in the order of their first consent

	preAuthCode string // the latest that was fetched; empty before
	unlisted    bool   // calls come from an address that is not on the list

	callback  string // where pushes go; empty: nowhere
	quirks    Quirks
	stopped   bool      // WeChat has stopped pushing tickets
	ticketDue time.Time // when the next ticket is pushed
	queue     []Push    // what is to be sent
	sending   bool      // somebody sends from queue
	failures  int       // of pushes in a row
	paused    time.Time // until when nothing is sent
}

// custom reports whether o is a template of custom-developed apps, whose permanent
// codes are the secrets of ordinary apps.
func (o *owner) custom() bool { return o.suite && strings.HasPrefix(o.account.id, "dk") }

// platform returns the platform that has the appid, or nil.
func (as accounts) platform(appid string) *owner {
	if o := as.owners[appid]; o != nil && !o.suite {
		return o
	}
	return nil
}

// suite returns the suite that has the id, or nil.
func (as accounts) suite(id string) *owner {
	if o := as.owners[id]; o != nil && o.suite {
		return o
	}
	return nil
}

// customApp returns the custom-developed app of a corp whose permanent code the secret
// is, or nil.
func (as accounts) customApp(corpid, secret string) *account {
	for _, o := range as.owners {
		if g := o.grants[corpid]; o.custom() && g != nil && g.current != "" && g.current == secret {
			return g.account
		}
	}
	return nil
}

// customizes reports whether the corp is or was a customer of a template.
func (as accounts) customizes(corpid string) bool {
	for _, o := range as.owners {
		if o.custom() && o.grants[corpid] != nil {
			return true
		}
	}
	return false
}

// owner returns the platform or suite that has the id. It is for the methods by
// which a test acts on one: there a wrong id is the test's mistake.
func (w *WeChat) owner(id string) *owner {
	o := w.accounts.owners[id]
	if o == nil {
		panic("wechattest: there is no platform or suite " + id)
	}
	return o
}

// AddPlatform adds a third-party platform of the Open Platform by its component
// appid, with the token and the EncodingAESKey of its pushes. Of one that is there already it
// changes these; its tokens and customers stay. It panics if aesKey is not
// 43 characters that decode to a key.
//
// Nothing is pushed before [WeChat.SetCallback]; [WeChat.TicketPush] makes a ticket to
// hand over by other means.
func (w *WeChat) AddPlatform(appid, secret, token, aesKey string) {
	w.addOwner(appid, secret, owner{token: token, key: mustKey(aesKey)})
}

// AddSuite adds a suite of a service provider of WeCom, or a template of
// custom-developed apps where its id begins with "dk", in the way of [WeChat.AddPlatform].
func (w *WeChat) AddSuite(providerCorpID, suiteID, secret, token, aesKey string) {
	w.addOwner(suiteID, secret, owner{suite: true, provider: providerCorpID, token: token, key: mustKey(aesKey)})
}

func (w *WeChat) addOwner(id, secret string, o owner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.accounts.owners[id]; old != nil {
		old.account.secret = secret
		old.provider, old.token, old.key = o.provider, o.token, o.key
		return
	}
	o.account = &account{id: id, secret: secret, owner: &o, lines: map[universe]*line{}}
	o.grants = map[string]*grant{}
	w.accounts.owners[id] = &o
}

// SetAddressListed takes the caller's address from a platform's or suite's list, or puts it
// there, where it is at first. Without it every call of a platform is answered 61004,
// and get_suite_token 60020; pushes still come. It panics if there is no such owner.
func (w *WeChat) SetAddressListed(owner string, listed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner(owner).unlisted = !listed
}

// SetTicketPushes stops the tickets that [WeChat.RunPushes] pushes to an owner on
// time, as WeChat does when it finds nobody there, or starts them again with one at
// once. After api_start_push_ticket the first comes in its time. It panics if there is no
// such owner.
func (w *WeChat) SetTicketPushes(owner string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.owner(owner)
	o.stopped, o.ticketDue = !on, time.Time{}
	w.wakePushes()
}
