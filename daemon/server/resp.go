package server

import (
	"time"

	"tokend/daemon/alias"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// resp is the codec of RESP, the protocol of Redis. Its words are in the files whose names begin
// with resp. They decide nothing about rights, limits and the audit log: they call the methods of
// the session that the line protocol calls, and those of keys.go, foreign.go and feed.go.
type resp struct {
	three bool  // RESP3, after HELLO 3
	id    int64 // of CLIENT ID; 0 until it is needed

	args    [][]byte  // of the command
	few     [8][]byte // memory of args
	fields  [1][]byte // the argument of a verb with one
	request protocol.Request
	name    []byte // of an alias; memory that is reused
	scratch []byte // a reply whose length is written before it; memory that is reused

	// how says how the current request is answered; nil for a GET of a name. cut clears it.
	how  *manner
	form *alias.Form // of the value; nil for the value alone

	// words are those of an error that Redis defines, with its code: the reply to errWords.
	words string

	channels channels
}

// manner is how the replies to one command look. A nil field is what the line protocol's verb gets.
type manner struct {
	value  func(c *resp, dst []byte, ttl time.Duration, text string) []byte
	done   func(c *resp, dst []byte) []byte // in the place of OK
	absent func(c *resp, dst []byte) []byte // in the place of NOT_FOUND
}

// errWords is answered as the codec's words, and counted as an invalid request.
var errWords = &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never, Message: "not a command of RESP"}

// respByte is the first byte of a connection that uses RESP.
const respByte = '*'

// maxKept bounds the memory in bytes that a codec keeps for reuse.
const maxKept = 4 << 10

func (c *resp) cut(in []byte) (request, name []byte, size int, err error) {
	c.how = nil
	if key, size, ok := protocol.CutGet(in); ok && !c.limited() {
		return in[:size], key, size, nil
	}
	if c.args == nil {
		c.args = c.few[:0]
	}
	c.args, size, err = protocol.CutCommand(in, c.args)
	if framing, ok := err.(protocol.FramingError); ok {
		c.words = "ERR " + string(framing)
		err = errWords
	}
	if err != nil {
		c.forget()
		return nil, nil, 0, err
	}
	return in[:size], nil, size, nil
}

func (c *resp) answer(s *session, request []byte) action {
	c.form = nil
	c.args, _, _ = protocol.CutCommand(request, c.args) // cut has checked it
	defer c.forget()
	if len(c.args) == 0 {
		return more
	}
	word, args := c.args[0], c.args[1:]
	cmd := commandOf(word)
	switch {
	case cmd == nil:
		return c.fault(s, "ERR unknown command '"+clipped(word)+"', with args beginning with: ")
	case len(args) < cmd.min || len(args) > cmd.max:
		return c.wrongNumber(s, cmd.word)
	case c.limited() && !cmd.subscribed:
		return c.fault(s, "ERR Can't execute '"+cmd.word+"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	}
	return cmd.run(c, s, args)
}

func (c *resp) close(s *session) { c.channels.clear(s) }

// limited reports whether the peer may send few commands only: in RESP2, a client could not tell
// their replies from messages.
func (c *resp) limited() bool { return !c.three && c.channels.n() > 0 }

// forget drops the references to a request's bytes, and memory that a long one has made.
func (c *resp) forget() {
	clear(c.args)
	if cap(c.args) > len(c.few) {
		c.args = c.few[:0]
	}
	c.request, c.fields = protocol.Request{}, [1][]byte{}
}

// fault answers an error that Redis defines, in its words.
func (c *resp) fault(s *session, words string) action {
	c.words = words
	s.failNone(errWords)
	return more
}

func (c *resp) wrongNumber(s *session, word string) action {
	return c.fault(s, "ERR wrong number of arguments for '"+word+"' command")
}

func (c *resp) syntaxError(s *session) action { return c.fault(s, "ERR syntax error") }

func (c *resp) notNumber(s *session) action {
	return c.fault(s, "ERR value is not an integer or out of range")
}

// reply answers with a simple string.
func (c *resp) reply(s *session, text string) action {
	s.out = protocol.AppendSimple(s.out, text)
	return more
}

// clipped returns a word of a request for an error.
func clipped(word []byte) string { return string(word[:min(len(word), 64)]) }

// resolve returns the name that key stands for. A credential's own name takes precedence over every
// alias. ok is false if key stands for no well-formed name. The name is in key or in c.
func (c *resp) resolve(s *session, key []byte) (name []byte, ok bool) {
	c.form = nil
	if !alias.IsName(key) {
		if name, form, ok := s.server.aliases.Load().Find(c.name[:0], key); ok {
			c.name = name
			if !form.Plain() {
				c.form = form
			}
			return name, protocol.ValidName(name)
		}
	}
	return key, protocol.ValidName(key)
}

// missing answers a request for a key that stands for no name, as v's.
func (c *resp) missing(s *session, v protocol.Verb) action {
	s.begin(v)
	s.fail(errNotFound)
	return more
}

// ask answers v of one name.
func (c *resp) ask(s *session, v protocol.Verb, name []byte) action {
	c.fields[0] = name
	return s.call(v, c.fields[:])
}

func (c *resp) value(dst []byte, ttl time.Duration, value string) []byte {
	switch {
	case c.how != nil && c.how.value != nil:
		return c.how.value(c, dst, ttl, value)
	case c.how != nil && c.form != nil:
		return c.shaped(dst, c.form, ttl, value)
	}
	return protocol.AppendBulk(dst, value)
}

// shaped appends a value in an alias's form.
func (c *resp) shaped(dst []byte, form *alias.Form, ttl time.Duration, value string) []byte {
	c.scratch = form.Append(c.scratch[:0], value, ttl)
	return c.bulk(dst)
}

// bulk appends the scratch.
func (c *resp) bulk(dst []byte) []byte {
	dst = protocol.AppendBulk(dst, c.scratch)
	if cap(c.scratch) > maxKept {
		c.scratch = nil
	}
	return dst
}

// line appends the scratch, which has a line of the line protocol, without its LF.
func (c *resp) line(dst []byte) []byte {
	c.scratch = c.scratch[:len(c.scratch)-1]
	return c.bulk(dst)
}

func (c *resp) null(dst []byte) []byte { return protocol.AppendNull(dst, c.three) }

func (c *resp) signature(dst []byte, timestamp int64, nonce, signature string) []byte {
	dst = protocol.AppendArray(dst, 3)
	c.scratch = appendInt(c.scratch[:0], timestamp)
	dst = c.bulk(dst)
	dst = protocol.AppendBulk(dst, nonce)
	return protocol.AppendBulk(dst, signature)
}

func (c *resp) ok(dst []byte) []byte {
	if c.how != nil && c.how.done != nil {
		return c.how.done(c, dst)
	}
	return protocol.AppendSimple(dst, "OK")
}

func (c *resp) pong(dst []byte) []byte {
	if c.limited() {
		return protocol.AppendBulk(protocol.AppendBulk(protocol.AppendArray(dst, 2), "pong"), "")
	}
	return protocol.AppendSimple(dst, "PONG")
}

func (c *resp) version(dst []byte, version string) []byte {
	c.scratch = protocol.AppendVersion(c.scratch[:0], version)
	c.scratch = c.scratch[len("OK "):]
	return c.line(dst)
}

func (c *resp) customer(dst []byte, name string) []byte { return protocol.AppendBulk(dst, name) }

// page and piece are of verbs that RESP lacks.
func (c *resp) page(dst []byte, _ credential.ImportPage) []byte { return dst }
func (c *resp) piece(dst, _ []byte) []byte                      { return dst }

func (c *resp) count(dst []byte, n int) []byte { return protocol.AppendArray(dst, n) }

func (c *resp) listing(dst []byte, l credential.Listing) []byte {
	c.scratch = protocol.AppendListing(c.scratch[:0], l.Name, l.State.String(), l.TTL)
	return c.line(dst)
}

func (c *resp) attempt(dst []byte, a credential.Attempt) []byte {
	c.scratch = appendAttempt(c.scratch[:0], a)
	return c.line(dst)
}

func (c *resp) pairs(dst []byte, n int) []byte { return protocol.AppendMap(dst, c.three, n) }

func (c *resp) pair(dst []byte, key, value string) []byte {
	dst = protocol.AppendBulk(dst, key)
	c.scratch = protocol.AppendPair(c.scratch[:0], key, value)
	c.scratch = append(c.scratch[:0], c.scratch[len(key)+1:]...)
	return c.line(dst)
}

func (c *resp) counter(dst []byte, s credential.Stat) []byte {
	return protocol.AppendNumber(protocol.AppendBulk(dst, s.Key), s.Value)
}

func (c *resp) change(dst []byte, l credential.Listing) []byte { return c.channels.tell(c, dst, l) }

func (c *resp) fail(dst []byte, e *protocol.Error) []byte {
	switch {
	case e == errWords:
		return protocol.AppendRedisError(dst, c.words)
	case e.Code == protocol.NotFound && c.how != nil && c.how.absent != nil:
		return c.how.absent(c, dst)
	}
	return protocol.AppendCommandError(dst, e)
}
