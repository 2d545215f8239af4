package server

import (
	"slices"
	"strings"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// channels are what a peer has subscribed to: channels, which are keys, and patterns of names. The
// zero value has none.
type channels struct {
	plain    []channel
	patterns []channel
	rules    *access.Rules // that audible is based on
	aliases  *alias.Table
	bytes    int // that the user's account of channels has for these
}

// channel is a channel or a pattern.
type channel struct {
	text string
	name string // that the channel stands for; "" for none, and for a pattern

	audible bool // the peer may get a message of it
}

// channelCost is what a channel takes besides its text.
const channelCost = 64

// n returns the number of subscriptions.
func (cs *channels) n() int { return len(cs.plain) + len(cs.patterns) }

func (c *resp) subscribe(s *session, args [][]byte) action {
	return c.addChannels(s, "subscribe", &c.channels.plain, args)
}

func (c *resp) psubscribe(s *session, args [][]byte) action {
	return c.addChannels(s, "psubscribe", &c.channels.patterns, args)
}

func (c *resp) unsubscribe(s *session, args [][]byte) action {
	return c.removeChannels(s, "unsubscribe", &c.channels.plain, args)
}

func (c *resp) punsubscribe(s *session, args [][]byte) action {
	return c.removeChannels(s, "punsubscribe", &c.channels.patterns, args)
}

func (c *resp) addChannels(s *session, word string, to *[]channel, args [][]byte) action {
	s.begin(protocol.VerbWatch)
	s.payRequests(len(args) - 1)
	for _, arg := range args {
		text := string(arg)
		if !slices.ContainsFunc(*to, func(ch channel) bool { return ch.text == text }) {
			if err := c.addChannel(s, to, text); err != nil {
				s.fail(err)
				return more
			}
		}
		c.confirm(s, word, arg)
	}
	return more
}

// addChannel adds a channel or a pattern to one list of c's.
func (c *resp) addChannel(s *session, to *[]channel, text string) error {
	cost := channelCost + len(text)
	if !s.user.operator && s.user.channels.Add(int64(cost)) > userChannels {
		s.user.channels.Add(-int64(cost))
		return errChannels
	}
	if !s.user.operator {
		c.channels.bytes += cost
	}
	*to = append(*to, channel{text: text})
	c.channels.rules = nil // decide again
	if !c.hear(s) {
		c.removeChannel(s, to, len(*to)-1)
		return errWatches
	}
	return nil
}

func (c *resp) removeChannels(s *session, word string, from *[]channel, args [][]byte) action {
	if len(args) == 0 {
		for _, ch := range *from {
			args = append(args, []byte(ch.text))
		}
	}
	if len(args) == 0 {
		s.out = protocol.AppendBulk(protocol.AppendPushed(s.out, c.three, 3), word)
		s.out = protocol.AppendNumber(c.null(s.out), int64(c.channels.n()))
	}
	for _, arg := range args {
		if i := slices.IndexFunc(*from, func(ch channel) bool { return ch.text == string(arg) }); i >= 0 {
			c.removeChannel(s, from, i)
		}
		c.confirm(s, word, arg)
	}
	c.hear(s)
	return more
}

func (c *resp) removeChannel(s *session, from *[]channel, i int) {
	if !s.user.operator {
		cost := channelCost + len((*from)[i].text)
		s.user.channels.Add(-int64(cost))
		c.channels.bytes -= cost
	}
	*from = slices.Delete(*from, i, i+1)
}

// confirm answers that a channel was added or removed.
func (c *resp) confirm(s *session, word string, arg []byte) {
	s.out = protocol.AppendBulk(protocol.AppendPushed(s.out, c.three, 3), word)
	s.out = protocol.AppendNumber(protocol.AppendBulk(s.out, arg), int64(c.channels.n()))
}

// clear removes all subscriptions.
func (cs *channels) clear(s *session) {
	s.user.channels.Add(-int64(cs.bytes))
	*cs = channels{}
	s.unfollow()
}

// hear makes the session follow what channels can get a message, and nothing without any. It
// reports whether the user may have one more watch.
func (c *resp) hear(s *session) bool {
	cs, aliases := &c.channels, s.server.aliases.Load()
	if cs.rules == nil || cs.rules != s.rules || cs.aliases != aliases {
		cs.rules, cs.aliases = s.rules, aliases
		c.judge(s)
	}
	prefix, any := "", false
	widen := func(head string) {
		if !any {
			prefix, any = head, true
		}
		for !strings.HasPrefix(head, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	for _, ch := range cs.plain {
		if ch.audible {
			widen(ch.name)
		}
	}
	for _, ch := range cs.patterns {
		if ch.audible {
			widen(literalHead(ch.text))
		}
	}
	if !any {
		s.unfollow()
		return true
	}
	return s.follow(prefix, func() bool { return c.hear(s) })
}

// judge decides which channels can get a message.
func (c *resp) judge(s *session) {
	cs := &c.channels
	for i := range cs.plain {
		ch := &cs.plain[i]
		name, ok := c.resolve(s, []byte(ch.text))
		ch.name = ""
		if ok {
			ch.name = string(name)
		}
		ch.audible = ok && s.rights.MayList(protocol.VerbWatch, ch.name)
	}
	for i := range cs.patterns {
		ch := &cs.patterns[i]
		head := literalHead(ch.text)
		ch.audible = alias.MayName(head) && s.rights.MayListUnder(protocol.VerbWatch, head)
	}
}

// literalHead returns what all names begin with that match pattern.
func literalHead(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// tell appends the messages that l is for the channels.
func (cs *channels) tell(c *resp, dst []byte, l credential.Listing) []byte {
	c.scratch = protocol.AppendListing(c.scratch[:0], l.Name, l.State.String(), l.TTL)
	change := string(c.scratch[len(l.Name)+1 : len(c.scratch)-1])
	for _, ch := range cs.plain {
		if ch.name == l.Name {
			dst = protocol.AppendBulk(protocol.AppendPushed(dst, c.three, 3), "message")
			dst = protocol.AppendBulk(protocol.AppendBulk(dst, ch.text), change)
		}
	}
	for _, ch := range cs.patterns {
		if ch.audible && access.Glob(ch.text, l.Name) {
			dst = protocol.AppendBulk(protocol.AppendPushed(dst, c.three, 4), "pmessage")
			dst = protocol.AppendBulk(protocol.AppendBulk(dst, ch.text), l.Name)
			dst = protocol.AppendBulk(dst, change)
		}
	}
	return dst
}
