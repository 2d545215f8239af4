package server

import (
	"math"
	"strconv"

	"tokend/protocol"
)

// command is a command of RESP.
type command struct {
	word     string // in lower case
	min, max int    // number of arguments
	run      func(c *resp, s *session, args [][]byte) action

	subscribed bool // allowed in RESP2 while there are subscriptions
}

const anyNumber = math.MaxInt

// commands are all of them. All other words are unknown, those of verbs too.
var commands = func() map[string]*command {
	all := []command{
		{word: "get", min: 1, max: 1, run: (*resp).get},
		{word: "mget", min: 1, max: anyNumber, run: (*resp).mget},
		{word: "ttl", min: 1, max: 1, run: (*resp).ttl},
		{word: "pttl", min: 1, max: 1, run: (*resp).pttl},
		{word: "exists", min: 1, max: anyNumber, run: (*resp).exists},
		{word: "type", min: 1, max: 1, run: (*resp).typeOf},
		{word: "del", min: 1, max: anyNumber, run: (*resp).del},
		{word: "unlink", min: 1, max: anyNumber, run: (*resp).del},
		{word: "expire", min: 2, max: 2, run: (*resp).expire},
		{word: "pexpire", min: 2, max: 2, run: (*resp).expire},

		{word: "set", min: 2, max: anyNumber, run: (*resp).set},
		{word: "setex", min: 3, max: 3, run: (*resp).setex},
		{word: "psetex", min: 3, max: 3, run: (*resp).setex},
		{word: "setnx", min: 2, max: 2, run: (*resp).setnx},

		{word: "reject", min: 2, max: 2, run: ofKey(protocol.VerbReject)},
		{word: "refresh", min: 1, max: 1, run: ofKey(protocol.VerbRefresh)},
		{word: "sign", min: 2, max: 2, run: ofKey(protocol.VerbSign)},
		{word: "put", min: 2, max: 2, run: asVerb(protocol.VerbPut)},
		{word: "push", min: 5, max: 5, run: asVerb(protocol.VerbPush)},
		{word: "exchange", min: 2, max: 2, run: asVerb(protocol.VerbExchange)},
		{word: "list", min: 0, max: 1, run: (*resp).list},
		{word: "history", min: 1, max: 1, run: asVerb(protocol.VerbHistory)},
		{word: "status", min: 1, max: 1, run: asVerb(protocol.VerbStatus)},
		{word: "stats", min: 0, max: 0, run: asVerb(protocol.VerbStats)},
		{word: "version", min: 0, max: 0, run: asVerb(protocol.VerbVersion)},

		{word: "subscribe", min: 1, max: anyNumber, run: (*resp).subscribe, subscribed: true},
		{word: "psubscribe", min: 1, max: anyNumber, run: (*resp).psubscribe, subscribed: true},
		{word: "unsubscribe", min: 0, max: anyNumber, run: (*resp).unsubscribe, subscribed: true},
		{word: "punsubscribe", min: 0, max: anyNumber, run: (*resp).punsubscribe, subscribed: true},

		{word: "ping", min: 0, max: 1, run: (*resp).ping, subscribed: true},
		{word: "echo", min: 1, max: 1, run: (*resp).echo},
		{word: "hello", min: 0, max: anyNumber, run: (*resp).hello},
		{word: "auth", min: 1, max: 2, run: (*resp).auth},
		{word: "select", min: 1, max: 1, run: (*resp).selectDB},
		{word: "client", min: 1, max: anyNumber, run: (*resp).client},
		{word: "config", min: 1, max: anyNumber, run: (*resp).config},
		{word: "info", min: 0, max: anyNumber, run: (*resp).info},
		{word: "command", min: 0, max: anyNumber, run: (*resp).none},
		{word: "cluster", min: 0, max: anyNumber, run: (*resp).cluster},
		{word: "role", min: 0, max: 0, run: (*resp).role},
		{word: "time", min: 0, max: 0, run: (*resp).time},
		{word: "quit", min: 0, max: anyNumber, run: (*resp).quit, subscribed: true},
		{word: "reset", min: 0, max: 0, run: (*resp).reset, subscribed: true},
	}
	byWord := make(map[string]*command, len(all))
	for i := range all {
		byWord[all[i].word] = &all[i]
	}
	return byWord
}()

// commandOf returns the command that word means, in any letter case; nil for none.
func commandOf(word []byte) *command {
	var lower [16]byte
	if len(word) > len(lower) {
		return nil
	}
	return commands[string(toLower(lower[:], word))]
}

// toLower writes word to dst in lower case, and returns it.
func toLower(dst, word []byte) []byte {
	for i, b := range word {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		dst[i] = b
	}
	return dst[:len(word)]
}

// is reports whether word is lower, which is in lower case, in any letter case.
func is(word []byte, lower string) bool {
	var buf [16]byte
	return len(word) == len(lower) && string(toLower(buf[:], word)) == lower
}

// asVerb answers v with arguments that are as in the line protocol.
func asVerb(v protocol.Verb) func(*resp, *session, [][]byte) action {
	return func(c *resp, s *session, args [][]byte) action { return c.verb(s, v, args) }
}

// ofKey is asVerb for a command whose first argument is a key.
func ofKey(v protocol.Verb) func(*resp, *session, [][]byte) action {
	return func(c *resp, s *session, args [][]byte) action {
		name, ok := c.resolve(s, args[0])
		if !ok {
			return c.missing(s, v)
		}
		c.how = shapedValue
		args[0] = name
		return c.verb(s, v, args)
	}
}

// verb answers v. The number of arguments is right.
func (c *resp) verb(s *session, v protocol.Verb, args [][]byte) action {
	if _, err := c.request.Fill(v, args); err != nil {
		s.failNone(err)
		return more
	}
	return s.call(v, c.request.Args[:])
}

// list accepts an empty prefix: other than a line, a command can contain one.
func (c *resp) list(s *session, args [][]byte) action {
	if len(args) == 1 && len(args[0]) == 0 {
		args = nil
	}
	return c.verb(s, protocol.VerbList, args)
}

// shapedValue is the manner of a value alone.
var shapedValue = &manner{}

// number parses an integer argument.
func number(arg []byte) (n int64, ok bool) {
	if len(arg) > 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(arg), 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == string(arg)
}
