package wechattest

import (
	"strings"
	"time"
)

// owner is what customers authorize: a third-party platform, also called a component, or a suite of
// a service provider.
type owner struct {
	account *account
	suite   bool

	provider string   // of a suite: the provider's corpid
	token    string   // signs pushes
	key      [32]byte // encrypts them

	grants    map[string]*grant // by the customer's ID
	customers []*grant          // the same, in order of first consent

	preAuthCode string // the latest one fetched; empty before
	unlisted    bool   // calls come from an address outside of the allowlist

	callback  string // URL for pushes; empty: none
	quirks    Quirks
	stopped   bool      // WeChat has stopped pushing tickets
	ticketDue time.Time // when the next ticket is pushed
	queue     []Push    // pushes to be sent
	sending   bool      // a goroutine is sending from queue
	failures  int       // consecutive failed pushes
	paused    time.Time // nothing is sent until then
}

// custom reports whether o is a template of custom-developed apps, whose permanent codes are the
// secrets of ordinary apps.
func (o *owner) custom() bool { return o.suite && strings.HasPrefix(o.account.id, "dk") }

// platform returns the platform with the appid, or nil.
func (as accounts) platform(appid string) *owner {
	if o := as.owners[appid]; o != nil && !o.suite {
		return o
	}
	return nil
}

// suite returns the suite with the ID, or nil.
func (as accounts) suite(id string) *owner {
	if o := as.owners[id]; o != nil && o.suite {
		return o
	}
	return nil
}

// customApp returns the custom-developed app of a corp whose permanent code is secret, or nil.
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

// owner returns the platform or suite with the ID. Tests call its users, so a wrong ID is a mistake
// in the test.
func (w *WeChat) owner(id string) *owner {
	o := w.accounts.owners[id]
	if o == nil {
		panic("wechattest: no platform or suite " + id)
	}
	return o
}

// AddPlatform adds a third-party platform of the Open Platform by its component appid, with the
// token and the EncodingAESKey of its pushes. For an existing one it changes these; its tokens and
// customers stay. It panics unless aesKey has 43 characters that decode to a key.
//
// Nothing is pushed before [WeChat.SetCallback]. [WeChat.TicketPush] returns a ticket to deliver by
// other means.
func (w *WeChat) AddPlatform(appid, secret, token, aesKey string) {
	w.addOwner(appid, secret, owner{token: token, key: mustKey(aesKey)})
}

// AddSuite adds a suite of a WeCom service provider, or a template of custom-developed apps if its
// ID starts with "dk". It works like [WeChat.AddPlatform].
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
	o.account = &account{id: id, secret: secret, owner: &o, sequences: map[universe]*sequence{}}
	o.grants = map[string]*grant{}
	w.accounts.owners[id] = &o
}

// SetAddressListed removes the caller's address from the allowlist of a platform or suite, or adds
// it. Initially it is listed. Without it, every call of a platform is answered 61004, and
// get_suite_token 60020; pushes still arrive. It panics if there is no such owner.
func (w *WeChat) SetAddressListed(owner string, listed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner(owner).unlisted = !listed
}

// SetTicketPushes stops the regular tickets of [WeChat.RunPushes] to an owner, as WeChat does for
// an unresponsive callback, or resumes them with one immediately. After api_start_push_ticket, the
// first ticket comes at its usual time. It panics if there is no such owner.
func (w *WeChat) SetTicketPushes(owner string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.owner(owner)
	o.stopped, o.ticketDue = !on, time.Time{}
	w.wakePushes()
}
