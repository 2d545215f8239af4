package server

import (
	"time"

	"tokend/daemon/alias"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// The commands that read a key, and those by which programs delete one: "WeChat refused the value
// that I read."

// The manners of commands with keys.
var (
	ofGet  = &manner{absent: (*resp).null}
	ofTTL  = &manner{value: appendSeconds, absent: numeral(-2)}
	ofPTTL = &manner{value: appendMilliseconds, absent: numeral(-2)}
)

func numeral(n int64) func(*resp, []byte) []byte {
	return func(_ *resp, dst []byte) []byte { return protocol.AppendNumber(dst, n) }
}

func simple(text string) func(*resp, []byte) []byte {
	return func(_ *resp, dst []byte) []byte { return protocol.AppendSimple(dst, text) }
}

func appendSeconds(_ *resp, dst []byte, ttl time.Duration, _ string) []byte {
	return protocol.AppendNumber(dst, max(1, int64(ttl/time.Second)))
}

func appendMilliseconds(_ *resp, dst []byte, ttl time.Duration, _ string) []byte {
	return protocol.AppendNumber(dst, max(1, int64(ttl/time.Millisecond)))
}

func (c *resp) get(s *session, args [][]byte) action {
	name, ok := c.resolve(s, args[0])
	c.how = ofGet
	if !ok {
		return c.missing(s, protocol.VerbGet)
	}
	return c.ask(s, protocol.VerbGet, name)
}

func (c *resp) ttl(s *session, args [][]byte) action  { return c.life(s, args[0], ofTTL) }
func (c *resp) pttl(s *session, args [][]byte) action { return c.life(s, args[0], ofPTTL) }

// life answers with the remaining life of a value. A grant has no end.
func (c *resp) life(s *session, key []byte, how *manner) action {
	name, ok := c.resolve(s, key)
	c.how = how
	if !ok {
		return c.missing(s, protocol.VerbGet)
	}
	if s.hit(name) {
		return more
	}
	if next, ok := s.allowed(protocol.VerbGet, name); !ok {
		return next
	}
	if class, err := s.server.cfg.Engine.Class(string(name)); err == nil && class == credential.Grant {
		s.out = protocol.AppendNumber(s.out, -1)
		return more
	}
	return c.ask(s, protocol.VerbGet, name)
}

// names returns the names that keys stand for, "" for none.
func (c *resp) names(s *session, keys [][]byte) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		if name, ok := c.resolve(s, key); ok {
			names[i] = string(name)
		}
	}
	return names
}

func (c *resp) mget(s *session, keys [][]byte) action {
	names, forms := make([]string, len(keys)), make([]*alias.Form, len(keys))
	for i, key := range keys {
		if name, ok := c.resolve(s, key); ok {
			names[i], forms[i] = string(name), c.form
		}
	}
	return s.getEach(names, func(all []credential.Value, flush func() error) error {
		s.out = protocol.AppendArray(s.out, len(all))
		for i, v := range all {
			switch {
			case v.Text == "":
				s.out = c.null(s.out)
			case forms[i] != nil:
				s.out = c.shaped(s.out, forms[i], v.TTL, string(v.Text))
			default:
				s.out = protocol.AppendBulk(s.out, string(v.Text))
			}
			if len(s.out) >= maxOut && flush != nil {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (c *resp) exists(s *session, keys [][]byte) action {
	return s.existing(c.names(s, keys), func(n int) { s.out = protocol.AppendNumber(s.out, int64(n)) })
}

func (c *resp) typeOf(s *session, keys [][]byte) action {
	return s.existing(c.names(s, keys), func(n int) {
		word := "none"
		if n > 0 {
			word = "string"
		}
		s.out = protocol.AppendSimple(s.out, word)
	})
}

func (c *resp) del(s *session, keys [][]byte) action {
	return s.drop(c.names(s, keys), func(n int) { s.out = protocol.AppendNumber(s.out, int64(n)) })
}

// expire deletes a key that is to expire now. Any other time has no effect: a value lives as long
// as WeChat says.
func (c *resp) expire(s *session, args [][]byte) action {
	n, ok := number(args[1])
	switch {
	case !ok:
		return c.notNumber(s)
	case n <= 0:
		return c.del(s, args[:1])
	}
	return c.exists(s, args[:1])
}
