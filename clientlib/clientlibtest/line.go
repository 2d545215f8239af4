package clientlibtest

import (
	"bufio"
	"errors"
	"io"

	"tokend/protocol"
)

// lineSession speaks the line protocol until the client leaves.
func (s *Server) lineSession(r *bufio.Reader, w io.Writer) {
	for {
		received, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		var parsed protocol.Request
		line, _, err := protocol.CutLine(received)
		tooLong := err != nil
		if !tooLong {
			err = parsed.Parse(line)
		}
		var reply []byte
		if err == nil {
			reply, err = s.lineReply(&parsed)
		}
		if refusal, ok := errors.AsType[*protocol.Error](err); ok {
			reply = protocol.AppendError(nil, refusal)
		}
		if _, err := w.Write(reply); err != nil || tooLong || parsed.Verb == protocol.VerbQuit {
			return
		}
	}
}

// lineReply returns the reply to a request.
func (s *Server) lineReply(r *protocol.Request) (reply []byte, err error) {
	name, second := string(r.Args[0]), string(r.Args[1])
	switch r.Verb {
	case protocol.VerbPing:
		return protocol.AppendPong(nil), nil
	case protocol.VerbVersion:
		return protocol.AppendVersion(nil, "clientlibtest"), nil
	case protocol.VerbQuit:
		return protocol.AppendOK(nil), nil
	case protocol.VerbGet, protocol.VerbReject, protocol.VerbRefresh:
		value, ttl, err := s.get(r.Verb, name, second)
		return protocol.AppendValue(nil, ttl, value), err
	case protocol.VerbPut:
		return protocol.AppendOK(nil), s.put(name, second)
	case protocol.VerbPush:
		return protocol.AppendOK(nil), s.push(name)
	case protocol.VerbExchange:
		child, err := s.exchange(name)
		return protocol.AppendCustomer(nil, child), err
	case protocol.VerbSign:
		signature, err := s.sign(name, second)
		return protocol.AppendSignature(nil, signTime, signNonce, signature), err
	case protocol.VerbList:
		all, err := s.list(name)
		reply = protocol.AppendCount(nil, len(all))
		for _, l := range all {
			reply = protocol.AppendListing(reply, l.Name, l.State, l.TTL)
		}
		return reply, err
	case protocol.VerbStatus:
		pairs, err := s.status(name)
		reply = protocol.AppendCount(nil, len(pairs))
		for _, p := range pairs {
			reply = protocol.AppendPair(reply, p[0], p[1])
		}
		return reply, err
	default:
		return nil, s.other(r.Verb, name)
	}
}
