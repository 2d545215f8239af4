package server

import (
	"tokend/protocol"
)

// The commands by which programs store a value: a pushed ticket or a grant, or a token that they
// have fetched for themselves.

var errNotCredential = &protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never,
	Message: "not a credential: tokend stores WeChat credentials only"}

var errNotForm = &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never,
	Message: "the value does not have the form that the alias of this key has"}

func notCredential(_ *resp, dst []byte) []byte {
	return protocol.AppendCommandError(dst, errNotCredential)
}

// The manners of commands that store. See store for the reply to a value that is dropped.
var (
	ofSet   = &manner{absent: notCredential}
	ofSetNX = &manner{absent: notCredential, done: numeral(1)}
)

// set ignores times and conditions, but not a mistake in them. The option GET is refused, because
// tokend does not return the value before.
func (c *resp) set(s *session, args [][]byte) action {
	dropped := simple("OK")
	for i := 2; i < len(args); i++ {
		switch option := args[i]; {
		case is(option, "nx"):
			dropped = (*resp).null
		case is(option, "xx"), is(option, "keepttl"):
		case (is(option, "ex") || is(option, "px") || is(option, "exat") || is(option, "pxat")) && i+1 < len(args):
			i++
			if _, ok := number(args[i]); !ok {
				return c.notNumber(s)
			}
		default:
			return c.syntaxError(s)
		}
	}
	c.how = ofSet
	return c.store(s, args[0], args[1], dropped)
}

func (c *resp) setex(s *session, args [][]byte) action {
	if _, ok := number(args[1]); !ok {
		return c.notNumber(s)
	}
	c.how = ofSet
	return c.store(s, args[0], args[2], simple("OK"))
}

func (c *resp) setnx(s *session, args [][]byte) action {
	c.how = ofSetNX
	return c.store(s, args[0], args[1], numeral(0))
}

// store stores value, or drops it and answers dropped.
func (c *resp) store(s *session, key, value []byte, dropped func(*resp, []byte) []byte) action {
	name, ok := c.resolve(s, key)
	if !ok {
		return c.missing(s, protocol.VerbPut)
	}
	form := c.form
	return s.deposit(name, func(fetched bool) action {
		text, ok := form.Value(string(value))
		switch {
		case fetched && !ok:
			return s.dropForeign(name, "", func() { s.out = dropped(c, s.out) })
		case fetched:
			return s.dropForeign(name, text, func() { s.out = dropped(c, s.out) })
		case !ok:
			s.fail(errNotForm)
			return more
		}
		return c.verb(s, protocol.VerbPut, [][]byte{name, []byte(text)})
	})
}
