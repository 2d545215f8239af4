package refresh

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
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
	lock chan struct{} // holds a token while nobody reads or writes what follows

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
		l = &customerList{lock: make(chan struct{}, 1), refused: map[string]refusedGrant{}}
		l.lock <- struct{}{}
		ls.all[owner] = l
	}
	return l
}

// recoverGrant replaces the grant used, which WeChat has refused with refusal, by the grant that
// WeChat lists, and returns the grant to call with. refusal comes back where that is final: a list
// that was asked for after it has no other.
func (e *Engine) recoverGrant(spec *Spec, used secret.Text, refusal *fetchers.APIError) (secret.Text, error) {
	at := e.clock.Now()
	onboarding, err := (*e.catalog.Load()).Onboarding(spec.Platform)
	if err != nil {
		return "", err
	}
	ctx, end := e.untilStop(context.Background())
	defer end()
	l := e.lists.of(spec.Platform)
	select {
	case <-l.lock:
		defer func() { l.lock <- struct{}{} }()
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
		if err := e.readList(ctx, l, spec.Platform, &onboarding); err != nil {
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
	return &endpointError{&hold{reason: credential.Refused, class: fetchers.Retry, errcode: refusal.Code, message: refusal.Error(),
		rid: refusal.RID, since: now, until: again}}
}

// takeListed puts next in force in place of used, and returns the grant that is in force then:
// another, if used has been replaced in the time of the reading.
func (e *Engine) takeListed(name string, used secret.Text, next record.Generation) (secret.Text, error) {
	a := e.amendmentOf(givenGrant{name: name, next: next})
	apply := a.apply
	a.apply = func(g *record.Grant) bool { return g.Live() && g.Value == used && apply(g) }
	if err := e.amend(context.Background(), a); err != nil {
		return "", &faultError{err}
	}
	if a.applies {
		e.log.Warn("a refused grant was replaced by the grant in WeChat's list", "name", name)
		return next.Value, nil
	}
	grant, err := e.live(name)
	return grant.Value, err
}

// knows reports whether value is none, or one of g's, in force or earlier.
func knows(g *record.Grant, value secret.Text) bool { return value == "" || g.Knows(value) }

// readList reads all pages of owner's list into l, each in a slot of its own. A failure is
// remembered: nobody asks for the list before the hold ends. l is locked.
func (e *Engine) readList(ctx context.Context, l *customerList, owner string, onboarding *Onboarding) error {
	o := e.endpoints.of(owner, listings)
	asked, wall := instantOf(e.clock.Now()), e.clock.Time()
	tokens := map[string]secret.Text{}
	total, skipped := 0, 0
	for offset, idle := 0, 0; ; {
		page, err := e.readPage(ctx, o, onboarding, offset)
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
func (e *Engine) readPage(ctx context.Context, o *endpoint, onboarding *Onboarding, offset int) (page fetchers.AuthorizerPage, err error) {
	err = e.through(ctx, o, onboarding, false, func(ctx context.Context, parent secret.Text) (err error) {
		page, err = onboarding.Lister.Page(ctx, parent, offset, listPage)
		return err
	})
	_, api := errors.AsType[*fetchers.APIError](err)
	_, transport := errors.AsType[*fetchers.TransportError](err)
	if (api || transport) && ctx.Err() == nil && e.base.Err() == nil {
		err = e.holdEndpoint(o, onboarding.Parent, err)
	}
	return page, err
}

// emptyPause is how long to wait before an empty page in the middle of a list is asked for again.
const emptyPause = time.Second

// Import brings in one page of owner's customers as WeChat lists them. It asks with the owner's own
// credential and makes one call, a few where WeChat answers an empty page. A grant that has changed
// while the page was read stays. The last page is an error if the customers of all pages are fewer
// than WeChat counts.
func (e *Engine) Import(ctx context.Context, owner string, offset int) (credential.ImportPage, error) {
	if err := e.ready(ctx); err != nil {
		return credential.ImportPage{}, err
	}
	onboarding, err := (*e.catalog.Load()).Onboarding(owner)
	if err != nil {
		return credential.ImportPage{}, err
	}
	if onboarding.Lister == nil {
		return credential.ImportPage{}, &credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: "WeChat has no list of the customers of " + owner}
	}
	ctx, end := e.untilStop(ctx)
	defer end()
	changed, end := e.grants.watch()
	defer end()
	asked := e.clock.Time()
	page, err := e.importPage(ctx, owner, &onboarding, offset)
	if err != nil {
		return credential.ImportPage{}, e.importError(err)
	}
	p := credential.ImportPage{Total: page.Total}
	var gifts []givenGrant
	for _, a := range page.Authorizers {
		if a.RefreshToken == "" {
			continue // its code was never exchanged: there is nothing to keep
		}
		gifts = append(gifts, givenGrant{onboarding.Grant(a.AppID), record.Generation{Value: a.RefreshToken, At: asked, Source: fromList}, changed})
	}
	kept := 0
	err = e.outlast(ctx, func() (err error) {
		kept, err = e.giveAll(ctx, gifts)
		return err
	})
	if err != nil {
		return p, err
	}
	p.Kept = kept
	var seen, missing int
	if p.Next, seen, missing = e.walks.note(owner, offset, page); missing > 0 {
		return p, &credential.Error{Reason: credential.Unreachable, RetryAfter: listFresh,
			Message: fmt.Sprintf("%d of %d customers are missing: WeChat has listed %d", missing, page.Total, seen)}
	}
	return p, nil
}

// importPage returns the page at offset. An empty one before the end of the list is asked for
// again.
func (e *Engine) importPage(ctx context.Context, owner string, onboarding *Onboarding, offset int) (page fetchers.AuthorizerPage, err error) {
	o := e.endpoints.of(owner, listings)
	for idle := 1; ; idle++ {
		page, err = e.readPage(ctx, o, onboarding, offset)
		if err != nil || page.Len() > 0 || offset >= page.Total || idle == idlePages {
			return page, err
		}
		if !e.pause(ctx, emptyPause) {
			return page, ctx.Err()
		}
	}
}

// importError returns err, which ended a call for a page, as a *credential.Error.
func (e *Engine) importError(err error) error {
	if of, ok := errors.AsType[*credential.Error](err); ok {
		return of
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.reply
	}
	if e.base.Err() != nil {
		return stopping()
	}
	now := e.clock.Now()
	if oe, ok := errors.AsType[*endpointError](err); ok {
		return oe.hold.err(now)
	}
	return failed(err, 1, 0, false, 0, now).err(now)
}

// walk is an import of all pages of a list, one after another: which customers they had. A
// list that shifts while it is read shows some twice and others not at all.
type walk struct {
	from     int // the offset of the first page
	at, next int // the offsets of the last page and of the next one
	seen     map[uint64]struct{}
	idle     int // how many of the last pages had nobody new
}

// walks are the unfinished ones, by owner. Its zero value is ready.
type walks struct {
	mu   sync.Mutex
	of   map[string]*walk
	seed maphash.Seed
}

// note records a page at offset of owner's list. next is the offset of the next page. After the
// last page, note returns how many customers were seen and how many are missing instead. Pages that
// have nobody new end it, whatever total the list states.
func (ws *walks) note(owner string, offset int, page fetchers.AuthorizerPage) (next, seen, missing int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of, ws.seed = map[string]*walk{}, maphash.MakeSeed()
	}
	w := ws.of[owner]
	if w == nil || offset != w.next && offset != w.at {
		w = &walk{from: offset, seen: map[uint64]struct{}{}}
		ws.of[owner] = w
	}
	w.at, w.next = offset, offset+page.Len()
	had := len(w.seen)
	for _, a := range page.Authorizers {
		w.seen[maphash.String(ws.seed, a.AppID)] = struct{}{}
	}
	if w.idle++; len(w.seen) > had || len(page.Skipped) > 0 {
		w.idle = 0
	}
	if page.Len() > 0 && w.next < page.Total && w.idle < idlePages {
		return w.next, len(w.seen), 0
	}
	delete(ws.of, owner)
	return 0, len(w.seen), max(page.Total-w.from-len(w.seen), 0)
}
