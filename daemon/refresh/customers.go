package refresh

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// listFresh is how long WeChat's customer list serves lookups before it may be read again. When
// many grants are refused at once, one reading serves them all: a platform of 100 000 customers has
// 200 pages.
const listFresh = time.Minute

// idlePages is how many pages in a row may bring nobody new before a list counts as ended, whatever
// total it states.
const idlePages = 3

// listPage is how many customers are asked for at once: the most that WeChat gives.
const listPage = 500

// customerList is WeChat's list of an owner's customers as it was read last, the last resort for a
// lost grant.
type customerList struct {
	turn chan struct{} // holds a token while nobody reads or writes what follows

	asked  clock.Instant // before the first page was asked for; zero for never
	wall   time.Time     // the same moment
	ended  clock.Instant // when the last page had arrived
	tokens map[string]secret.Text
	whole  bool // as many customers as WeChat counts, each of them readable

	// refused are the grants that WeChat has refused later than it sent the list, by customer: the
	// next list is final.
	refused map[string]refusedGrant
}

// refusedGrant is a grant and when WeChat has refused it.
type refusedGrant struct {
	value secret.Text
	at    clock.Instant
}

// customerLists are those that were read, by owner. Its zero value is ready.
type customerLists struct {
	mu  sync.Mutex
	all map[string]*customerList
}

func (ls *customerLists) of(owner string) *customerList {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.all[owner]
	if l == nil {
		if ls.all == nil {
			ls.all = map[string]*customerList{}
		}
		l = &customerList{turn: make(chan struct{}, 1), refused: map[string]refusedGrant{}}
		l.turn <- struct{}{}
		ls.all[owner] = l
	}
	return l
}

// recoverGrant replaces the grant used, which WeChat has refused with refusal, by the one that
// WeChat lists, and returns the grant to call with. refusal comes back where that is final: a list
// that was asked for after it has no other.
func (e *Engine) recoverGrant(spec *Spec, used secret.Text, refusal *fetchers.APIError) (secret.Text, error) {
	at := e.clock.Now()
	way, err := (*e.catalog.Load()).Onboarding(spec.Platform)
	if err != nil {
		return "", err
	}
	ctx, end := e.untilStop(context.Background())
	defer end()
	l := e.lists.of(spec.Platform)
	select {
	case <-l.turn:
		defer func() { l.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	before, err := e.grants.get(spec.Grant)
	if err != nil {
		return "", err
	}
	if r := l.refused[spec.Child]; r.value == used {
		at = r.at
	}
	delete(l.refused, spec.Child)
	now := e.clock.Now()
	switch again := l.ended.Add(listFresh); {
	case l.asked != 0 && l.asked >= at && now < again: // another recovery has just read it
	case l.asked != 0 && now < again:
		if listed := l.tokens[spec.Child]; listed == used || knows(&before, listed) {
			l.refused[spec.Child] = refusedGrant{used, at}
			return "", notYet(refusal, now, again) // it says what was in force before the refusal
		}
	default:
		if err := e.readList(ctx, l, spec.Platform, &way); err != nil {
			return "", err
		}
	}
	switch listed := l.tokens[spec.Child]; {
	case listed != "" && listed != used:
		return e.takeListed(spec.Grant, used, record.Generation{Value: listed, At: l.wall, Source: fromList})
	case listed == "" && !l.whole:
		return "", notYet(refusal, now, l.ended.Add(listFresh))
	}
	return "", refusal
}

// notYet returns what a refusal calls for that may not be final: WeChat's list tells, when it may
// be read again.
func notYet(refusal *fetchers.APIError, now, again clock.Instant) error {
	return &outletError{&hold{reason: Refused, class: fetchers.Retry, errcode: refusal.Code, message: refusal.Error(),
		rid: refusal.RID, since: now, until: again}}
}

// takeListed puts next in force in place of used, and returns the grant that is in force then:
// another, if used has been replaced in the time of the reading.
func (e *Engine) takeListed(name string, used secret.Text, next record.Generation) (secret.Text, error) {
	a := e.gives(gift{name: name, next: next})
	apply := a.apply
	a.apply = func(g *record.Grant) bool { return g.Live() && g.Value == used && apply(g) }
	if err := e.amend(context.Background(), a); err != nil {
		return "", &faultError{err}
	}
	if a.applies {
		e.log.Warn("a refused grant was replaced by the one that WeChat lists", "name", name)
		return next.Value, nil
	}
	grant, err := e.live(name)
	return grant.Value, err
}

// knows reports whether value is none, or one of g's, in force or earlier.
func knows(g *record.Grant, value secret.Text) bool {
	for _, v := range g.Earlier {
		if v.Value == value {
			return true
		}
	}
	return value == "" || g.Value == value
}

// readList reads all pages of owner's list into l, each in a slot of its own. A failure is
// remembered: nobody asks for the list before the hold ends. l's turn is held.
func (e *Engine) readList(ctx context.Context, l *customerList, owner string, way *Onboarding) error {
	o := e.outlets.of(owner, listings)
	asked, wall := instantOf(e.clock.Now()), time.Now()
	tokens := map[string]secret.Text{}
	total, skipped := 0, 0
	for offset, idle := 0, 0; ; {
		page, err := e.readPage(ctx, o, way, offset)
		if err != nil {
			return err
		}
		had := len(tokens)
		for _, a := range page.Authorizers {
			tokens[a.AppID] = a.RefreshToken
		}
		skipped += len(page.Skipped)
		if idle++; len(tokens) > had || len(page.Skipped) > 0 {
			idle = 0
		}
		if offset, total = offset+page.Len(), page.Total; offset >= total || idle == idlePages {
			break
		}
	}
	maps.DeleteFunc(l.refused, func(_ string, r refusedGrant) bool { return r.at < l.asked }) // had their list
	l.asked, l.wall, l.ended, l.tokens, l.whole = asked, wall, e.clock.Now(), tokens, skipped == 0 && len(tokens) >= total
	return nil
}

// readPage makes one call for a page of a list. ctx ends with the engine. What says nothing of the
// owner is remembered too: a list is asked for on behalf of all customers.
func (e *Engine) readPage(ctx context.Context, o *outlet, way *Onboarding, offset int) (page fetchers.AuthorizerPage, err error) {
	err = e.through(ctx, o, way, false, func(ctx context.Context, parent secret.Text) (err error) {
		page, err = way.Lister.Page(ctx, parent, offset, listPage)
		return err
	})
	_, api := errors.AsType[*fetchers.APIError](err)
	_, transport := errors.AsType[*fetchers.TransportError](err)
	if (api || transport) && ctx.Err() == nil && e.base.Err() == nil {
		err = e.holdOutlet(o, way.Parent, err)
	}
	return page, err
}
