package clientlibtest

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"tokend/protocol"
)

// respSession speaks RESP, the protocol of Redis, until the client leaves.
func (s *Server) respSession(r *bufio.Reader, w io.Writer) {
	var resp3 bool
	for {
		args, err := readCommand(r)
		if framing, ok := errors.AsType[protocol.FramingError](err); ok {
			_, _ = w.Write(protocol.AppendRedisError(nil, "ERR "+string(framing))) // the connection is closed
		}
		if err != nil {
			return
		}
		if len(args) == 0 {
			continue
		}
		word := strings.ToUpper(args[0])
		reply, err := s.respReply(word, args[1:], &resp3)
		if refusal, ok := errors.AsType[*protocol.Error](err); ok {
			reply = protocol.AppendCommandError(nil, refusal)
		}
		if _, err := w.Write(reply); err != nil || word == "QUIT" {
			return
		}
	}
}

// readCommand reads one command. r's buffer holds the longest.
func readCommand(r *bufio.Reader) (args []string, err error) {
	for n := 1; ; n = r.Buffered() + 1 {
		if _, err := r.Peek(n); err != nil {
			return nil, err
		}
		buf, _ := r.Peek(r.Buffered()) // cannot fail
		parts, size, err := protocol.CutCommand(buf, nil)
		if errors.Is(err, protocol.ErrIncomplete) {
			continue
		}
		for _, part := range parts {
			args = append(args, string(part))
		}
		_, _ = r.Discard(size) // is buffered
		return args, err
	}
}

// arity has the number of arguments that a command takes at least.
var arity = map[string]int{"GET": 1, "MGET": 1, "TTL": 1, "PTTL": 1, "EXISTS": 1, "DEL": 1, "UNLINK": 1, "SET": 2, "SETEX": 3, "REJECT": 2, "REFRESH": 1, "ECHO": 1}

// respReply returns the reply to a command. A key that was not set does not exist, as in Redis.
func (s *Server) respReply(word string, args []string, resp3 *bool) (reply []byte, err error) {
	if len(args) < arity[word] {
		return protocol.AppendRedisError(nil, "ERR wrong number of arguments for '"+strings.ToLower(word)+"' command"), nil
	}
	switch word {
	case "GET", "MGET":
		if word == "MGET" {
			reply = protocol.AppendArray(nil, len(args))
		}
		for _, key := range args {
			value, _, err := s.get(protocol.VerbGet, key, "")
			switch {
			case errors.Is(err, errNotFound):
				reply = protocol.AppendNull(reply, *resp3)
			case err != nil:
				return nil, err
			default:
				reply = protocol.AppendBulk(reply, value)
			}
		}
		return reply, nil
	case "REJECT", "REFRESH":
		verb, _ := protocol.ParseVerb(word)
		value, _, err := s.get(verb, args[0], args[len(args)-1])
		return protocol.AppendBulk(nil, value), err
	case "TTL", "PTTL":
		_, ttl, err := s.get(protocol.VerbGet, args[0], "")
		if errors.Is(err, errNotFound) {
			return protocol.AppendNumber(nil, -2), nil
		}
		if word == "TTL" {
			ttl /= 1000
		}
		return protocol.AppendNumber(nil, int64(ttl/time.Millisecond)), err
	case "EXISTS", "DEL", "UNLINK":
		var n int64
		for _, key := range args {
			value := s.Value(key)
			if value == "" {
				continue
			}
			n++
			if word != "EXISTS" { // WeChat refused the value that the client has read
				if _, _, err := s.get(protocol.VerbReject, key, value); err != nil {
					return nil, err
				}
			}
		}
		return protocol.AppendNumber(nil, n), nil
	case "SET", "SETEX": // dropped, as tokend drops a token that it fetches itself
		return protocol.AppendSimple(nil, "OK"), nil
	case "PING":
		return protocol.AppendSimple(nil, "PONG"), nil
	case "ECHO":
		return protocol.AppendBulk(nil, args[0]), nil
	case "AUTH", "SELECT", "CLIENT", "QUIT":
		return protocol.AppendSimple(nil, "OK"), nil
	case "HELLO":
		*resp3 = len(args) > 0 && args[0] == "3"
		reply = protocol.AppendMap(nil, *resp3, 2)
		reply = protocol.AppendBulk(reply, "server")
		reply = protocol.AppendBulk(reply, "redis")
		reply = protocol.AppendBulk(reply, "version")
		return protocol.AppendBulk(reply, "7.0.0"), nil
	}
	return protocol.AppendRedisError(nil, "ERR unknown command '"+word[:min(len(word), 64)]+"', with args beginning with: "), nil
}
