package server

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// The verbs that answer with a value, or with a signature made of one.

// get answers a GET that has been parsed.
func (s *session) get(name []byte) action {
	if s.hit(name) {
		return more
	}
	s.user.stats.asked[protocol.VerbGet].Add(1)
	if next, ok := s.allowed(protocol.VerbGet, name); !ok {
		return next
	}
	s.tally.reads++
	s.user.stats.waits.Add(1)
	return s.await(string(name), s.server.cfg.Engine.Get)
}

// hit answers a GET of name if the peer may have the value and it is cached, and reports whether it
// has. Nearly every request takes this path: no allocation, no job. name may be any bytes.
func (s *session) hit(name []byte) bool {
	if s.ahead != nil {
		if v, ok := s.ahead.take(name); ok {
			s.giveHit(v)
			return true
		}
	}
	if !s.mayGet(name) {
		return false
	}
	v, ok := s.cached(name)
	if ok {
		s.giveHit(v)
	}
	return ok
}

// giveHit answers with v, which is cached.
func (s *session) giveHit(v credential.Value) {
	s.tally.reads++
	s.tally.hits++
	s.give(v)
}

// nearEnd is the TTL below which the clock is read for each reader. It is longer than the time
// between reading the clock and the reply, unless the whole machine stops.
const nearEnd = time.Second

// cached returns the cached value of name if it is valid now. The clock is read once for all
// requests of a step, or of a group of an event loop. Reading it for each would take half as long
// again as everything else. It is read again for a value that is about to expire.
func (s *session) cached(name []byte) (credential.Value, bool) {
	e := s.server.cfg.Engine
	if s.now == 0 {
		s.now = e.Now()
	}
	v, ok := e.Cached(name, s.now)
	if ok && v.TTL < nearEnd {
		s.now = e.Now()
		v, ok = e.Cached(name, s.now)
	}
	return v, ok
}

// reject answers at once if no fetch is needed. When WeChat reports a dead token, each process of a
// program rejects it, and all but the first get the new one. Writing a line to the audit log may
// wait for the disk, so a request that writes one is a job.
//
// value is as secret as the reply.
func (s *session) reject(name, value []byte) action {
	if next, ok := s.allowed(protocol.VerbReject, name); !ok {
		return next
	}
	s.user.stats.rejects.Add(1)
	audited := s.mayNote(&s.user.acts, actLines)
	if !audited {
		if v, ok := s.server.cfg.Engine.RejectCached(name, value); ok {
			s.give(v)
			return more
		}
	}
	refused := secret.Text(value)
	return s.await(string(name), func(ctx context.Context, name string) (credential.Value, error) {
		v, err := s.server.cfg.Engine.Reject(ctx, name, refused)
		if audited {
			s.noteEnd(ctx, protocol.VerbReject, name, err)
		}
		return v, err
	})
}

func (s *session) refresh(name []byte) action {
	if next, ok := s.allowed(protocol.VerbRefresh, name); !ok {
		return next
	}
	return s.await(string(name), func(ctx context.Context, name string) (credential.Value, error) {
		v, err := s.server.cfg.Engine.Refresh(ctx, name)
		s.done(ctx, protocol.VerbRefresh, name, err)
		return v, err
	})
}

// await answers with the value that ask returns, which is that of name.
func (s *session) await(name string, ask func(context.Context, string) (credential.Value, error)) action {
	return s.awaitThen(name, ask, s.give)
}

// awaitThen passes the value that ask returns to answer, or answers with its error.
func (s *session) awaitThen(name string, ask func(context.Context, string) (credential.Value, error), answer func(credential.Value)) action {
	return s.wait(credential.OwnerOf(name), func(ctx context.Context) error {
		v, err := ask(ctx, name)
		if err == nil {
			answer(v)
		}
		return err
	})
}

// give answers with v and counts the read.
func (s *session) give(v credential.Value) {
	s.count(v)
	s.out = s.codec.value(s.out, v.TTL, string(v.Text))
	if len(v.Text) > longText {
		s.payFor(len(v.Text))
	}
}

// nonceLength is that of the examples in WeChat's JS-SDK documentation. WeChat prescribes none.
const nonceLength = 16

// sign signs with a ticket. The ticket never leaves the daemon.
func (s *session) sign(name, url []byte) action {
	if next, ok := s.allowed(protocol.VerbSign, name); !ok {
		return next
	}
	if !signs(string(name)) {
		s.fail(errNotTicket)
		return more
	}
	page := string(url)
	answer := func(v credential.Value) {
		nonce, now := rand.Text()[:nonceLength], time.Now().Unix()
		s.out = s.codec.signature(s.out, now, nonce, s.server.cfg.Sign(v.Text, nonce, now, page))
	}
	s.tally.reads++
	if v, ok := s.cached(name); ok {
		s.tally.hits++
		s.tally.signed++
		s.count(v)
		answer(v)
		return more
	}
	s.user.stats.waits.Add(1)
	return s.awaitThen(string(name), s.server.cfg.Engine.Get, func(v credential.Value) {
		s.count(v)
		answer(v)
	})
}

// signs reports whether the JS-SDK signs with name's credential. A wx_card_ticket and an sdk_ticket
// sign other fields.
func signs(name string) bool {
	switch name[strings.LastIndexByte(name, '/')+1:] {
	case "jsapi_ticket", "agent_config_ticket":
		return true
	}
	return false
}

// aheadSize is how many values are looked up at once.
const aheadSize = 32

// ahead has values that have been looked up, all at once, for the next requests; see
// [Engine].CachedAll. Without it, a server with 10 000 credentials answers 6 to 11 % fewer requests
// with 16, 50 and 512 connections, and 20 % fewer if each of 50 connections pipelines 16 requests.
// The zero value has none.
type ahead struct {
	n, next int               // how many there are, and the index of the next
	names   [aheadSize][]byte // in the requests themselves
	values  [aheadSize]credential.Value
}

// take returns the next value if it is that of name, and reports whether it may be served. It may
// be if it does not expire so soon that the clock must be read again.
func (a *ahead) take(name []byte) (v credential.Value, ok bool) {
	if a.next >= a.n || len(name) == 0 {
		return v, false
	}
	if next := a.names[a.next]; &next[0] != &name[0] || len(next) != len(name) { // not the same memory
		return v, false
	}
	v = a.values[a.next]
	a.next++
	return v, v.TTL >= nearEnd
}

// lookAhead adds the names of GETs in in to a, as far as a is free. A name that is not granted is
// not looked up, so it takes the same time whether or not the credential exists.
func (s *session) lookAhead(in []byte, a *ahead) {
	s.renewRights()
	if !s.chosen {
		s.chooseCodec(in)
	}
	for a.n < aheadSize {
		_, name, size, err := s.codec.cut(in)
		if err != nil {
			return
		}
		in = in[size:]
		if len(name) > 0 && s.mayGet(name) {
			a.names[a.n] = name
			a.n++
		}
	}
}

// maxCounters bounds the counters of readers that the server adds to credentials, 16 MB. Beyond it,
// only readers with a counter are counted.
const maxCounters = 1 << 19

// count counts that the peer has read v.
func (s *session) count(v credential.Value) {
	if v.Readers != nil && !v.Readers.Count(s.peer.UID) {
		s.server.firstRead(v.Readers, s.peer.UID)
	}
}

// firstRead counts the first read by uid.
func (s *Server) firstRead(readers *credential.Readers, uid uint32) {
	if !s.counters.enter(maxCounters) {
		return
	}
	if !readers.Add(uid, &s.counters.n) { // another session has added it
		s.counters.leave()
	}
	readers.Count(uid)
}
