package server

import (
	"strconv"
	"time"

	"tokend/daemon/access"
	"tokend/protocol"
)

// The commands that clients send about the connection and the server. They have the same replies
// for every peer, because clients send them before anything else.

const (
	redisVersion = "7.0.0" // that clients decide by which commands there are
	pingWord     = "pong"
)

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func (c *resp) ping(s *session, args [][]byte) action {
	if len(args) == 0 {
		return s.call(protocol.VerbPing, nil)
	}
	if c.limited() {
		s.out = protocol.AppendBulk(protocol.AppendArray(s.out, 2), pingWord)
	}
	return c.echo(s, args)
}

func (c *resp) echo(s *session, args [][]byte) action {
	s.out = protocol.AppendBulk(s.out, args[0])
	return more
}

func (c *resp) hello(s *session, args [][]byte) action {
	three := c.three
	if len(args) > 0 {
		version, ok := number(args[0])
		switch {
		case !ok:
			return c.notNumber(s)
		case version != 2 && version != 3:
			return c.fault(s, "NOPROTO unsupported protocol version")
		}
		three = version == 3
		for args = args[1:]; len(args) > 0; {
			switch {
			case is(args[0], "auth") && len(args) >= 3:
				args = args[3:]
			case is(args[0], "setname") && len(args) >= 2:
				args = args[2:]
			default:
				return c.syntaxError(s)
			}
		}
	}
	c.three = three
	proto := int64(2)
	if three {
		proto = 3
	}
	out := protocol.AppendMap(s.out, three, 7)
	out = protocol.AppendBulk(protocol.AppendBulk(out, "server"), "redis")
	out = protocol.AppendBulk(protocol.AppendBulk(out, "version"), redisVersion)
	out = protocol.AppendNumber(protocol.AppendBulk(out, "proto"), proto)
	out = protocol.AppendNumber(protocol.AppendBulk(out, "id"), c.clientID(s))
	out = protocol.AppendBulk(protocol.AppendBulk(out, "mode"), "standalone")
	out = protocol.AppendBulk(protocol.AppendBulk(out, "role"), "master")
	s.out = protocol.AppendArray(protocol.AppendBulk(out, "modules"), 0)
	return more
}

// clientID returns the number of the connection.
func (c *resp) clientID(s *session) int64 {
	if c.id == 0 {
		c.id = s.server.clients.Add(1)
	}
	return c.id
}

// auth ignores the password: the kernel says who the peer is.
func (c *resp) auth(s *session, _ [][]byte) action { return c.reply(s, "OK") }

func (c *resp) selectDB(s *session, args [][]byte) action {
	switch n, ok := number(args[0]); {
	case !ok:
		return c.notNumber(s)
	case n != 0:
		return c.fault(s, "ERR DB index is out of range")
	}
	return c.reply(s, "OK")
}

func (c *resp) client(s *session, args [][]byte) action {
	word, args := args[0], args[1:]
	wrong := func(n int) bool { return len(args) != n }
	for _, sub := range []struct {
		word string
		n    int
		run  func() action
	}{
		{"id", 0, func() action { s.out = protocol.AppendNumber(s.out, c.clientID(s)); return more }},
		{"getname", 0, func() action { s.out = c.null(s.out); return more }},
		{"setname", 1, func() action { return c.reply(s, "OK") }},
		{"setinfo", 2, func() action { return c.reply(s, "OK") }},
		{"no-evict", 1, func() action { return c.reply(s, "OK") }},
		{"no-touch", 1, func() action { return c.reply(s, "OK") }},
	} {
		switch {
		case !is(word, sub.word):
		case wrong(sub.n):
			return c.wrongNumber(s, "client|"+sub.word)
		default:
			return sub.run()
		}
	}
	return c.fault(s, "ERR unknown subcommand '"+clipped(word)+"'. Try CLIENT HELP.")
}

// parameters are those of CONFIG GET.
var parameters = [...][2]string{
	{"save", ""},
	{"appendonly", "no"},
	{"databases", "1"},
	{"timeout", "0"},
	{"replica-read-only", "no"},
	{"slave-read-only", "no"},
}

func (c *resp) config(s *session, args [][]byte) action {
	switch {
	case !is(args[0], "get"):
		return c.fault(s, "ERR unknown command '"+clipped(c.args[0])+"', with args beginning with: ")
	case len(args) == 1:
		return c.wrongNumber(s, "config|get")
	}
	var found [][2]string
	for _, p := range parameters {
		for _, pattern := range args[1:] {
			if len(pattern) <= protocol.MaxName && access.Glob(string(toLower(make([]byte, len(pattern)), pattern)), p[0]) {
				found = append(found, p)
				break
			}
		}
	}
	s.out = protocol.AppendMap(s.out, c.three, len(found))
	for _, p := range found {
		s.out = protocol.AppendBulk(protocol.AppendBulk(s.out, p[0]), p[1])
	}
	return more
}

// info answers with the sections that clients look at.
func (c *resp) info(s *session, args [][]byte) action {
	wanted := func(section string) bool {
		for _, a := range args {
			if is(a, section) || is(a, "all") || is(a, "default") || is(a, "everything") {
				return true
			}
		}
		return len(args) == 0
	}
	b := c.scratch[:0]
	section := func(name, title string, lines ...string) {
		if !wanted(name) {
			return
		}
		if len(b) > 0 {
			b = append(b, "\r\n"...)
		}
		b = append(append(append(b, "# "...), title...), "\r\n"...)
		for _, line := range lines {
			b = append(append(b, line...), "\r\n"...)
		}
	}
	section("server", "Server", "redis_version:"+redisVersion, "redis_mode:standalone", "tokend_version:"+oneLine(s.server.cfg.Version))
	section("persistence", "Persistence", "loading:0")
	section("replication", "Replication", "role:master", "connected_slaves:0")
	c.scratch = b
	s.out = c.bulk(s.out)
	return more
}

// oneLine returns a version as VERSION shows it.
func oneLine(version string) string {
	line := protocol.AppendVersion(nil, version)
	return string(line[len("OK tokend ") : len(line)-len(" protocol 1\n")])
}

// none answers with an empty array.
func (c *resp) none(s *session, _ [][]byte) action {
	s.out = protocol.AppendArray(s.out, 0)
	return more
}

func (c *resp) cluster(s *session, _ [][]byte) action {
	return c.fault(s, "ERR This instance has cluster support disabled")
}

func (c *resp) role(s *session, _ [][]byte) action {
	s.out = protocol.AppendBulk(protocol.AppendArray(s.out, 3), "master")
	s.out = protocol.AppendArray(protocol.AppendNumber(s.out, 0), 0)
	return more
}

func (c *resp) time(s *session, _ [][]byte) action {
	now := time.Now()
	s.out = protocol.AppendArray(s.out, 2)
	s.out = protocol.AppendBulk(s.out, strconv.FormatInt(now.Unix(), 10))
	s.out = protocol.AppendBulk(s.out, strconv.Itoa(now.Nanosecond()/1000))
	return more
}

func (c *resp) quit(s *session, _ [][]byte) action { return s.call(protocol.VerbQuit, nil) }

// reset ends subscriptions and returns to RESP2.
func (c *resp) reset(s *session, _ [][]byte) action {
	c.channels.clear(s)
	c.three = false
	return c.reply(s, "RESET")
}
