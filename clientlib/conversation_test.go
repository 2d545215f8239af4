package clientlib

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"tokend/protocol"
	"tokend/protocol/conversation"
)

// script plays the daemon in a conversation, over any number of connections.
type script struct {
	mu     sync.Mutex
	left   []conversation.Exchange
	faults []string
	wrap   func(io.Writer) io.Writer
}

func (s *script) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(s.wrap(nc), s.answer(line)); err != nil {
			return
		}
	}
}

func (s *script) answer(line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		s.faults = append(s.faults, fmt.Sprintf("one request too many: %q", line))
		return "ERR INTERNAL - no request is expected\n"
	}
	x := s.left[0]
	s.left = s.left[1:]
	if want := canonical(x.Request); line != want {
		s.faults = append(s.faults, fmt.Sprintf("line %d: request\n got: %q\nwant: %q", x.Line, line, want))
	}
	return strings.Join(x.Reply, "\n") + "\n"
}

// canonical returns request as this library writes it, such as an IMPORT with its offset.
func canonical(request string) string {
	verb, args, _ := parse(request)
	if verb == protocol.VerbImport && len(args) == 1 {
		args = append(args, "0")
	}
	line, err := protocol.AppendRequest(nil, verb, args...)
	if err != nil {
		return err.Error()
	}
	return string(line)
}

// parse returns the verb and the fields of request; ok is false if it is malformed.
func parse(request string) (verb protocol.Verb, args []string, ok bool) {
	var r protocol.Request
	if err := r.Parse([]byte(strings.TrimSuffix(request, "\r"))); err != nil {
		return 0, nil, false
	}
	for _, arg := range r.Args[:r.N] {
		args = append(args, string(arg))
	}
	return r.Verb, args, true
}

// say makes the client's request of an exchange and returns the reply as the daemon must have
// written it.
func say(ctx context.Context, c *Client, x conversation.Exchange) (string, error) {
	verb, args, _ := parse(x.Request)
	out, err := call(ctx, c, verb, args, len(x.Reply))
	if refusal, ok := errors.AsType[*Error](err); ok {
		return string(protocol.AppendError(nil, refusal)), nil
	}
	return string(out), err
}

func call(ctx context.Context, c *Client, verb protocol.Verb, args []string, lines int) (out []byte, err error) {
	var name, second string // "" is an omitted prefix
	if len(args) > 0 {
		name = args[0]
	}
	if len(args) > 1 {
		second = args[1]
	}
	var cred Credential
	switch verb {
	case protocol.VerbPing:
		return protocol.AppendPong(nil), c.Ping(ctx)
	case protocol.VerbVersion:
		version, err := c.Version(ctx)
		return protocol.AppendVersion(nil, version), err
	case protocol.VerbGet:
		cred, err = c.Get(ctx, name)
	case protocol.VerbReject:
		cred, err = c.Reject(ctx, name, Secret(second))
	case protocol.VerbRefresh:
		cred, err = c.Refresh(ctx, name)
	case protocol.VerbPut:
		return protocol.AppendOK(nil), c.Put(ctx, name, Secret(second))
	case protocol.VerbExchange:
		customer, err := c.Exchange(ctx, name, Secret(second))
		return protocol.AppendCustomer(nil, customer), err
	case protocol.VerbPush:
		return protocol.AppendOK(nil), c.Push(ctx, name, Callback{MsgSignature: args[1], Timestamp: args[2], Nonce: args[3], Encrypt: args[4]})
	case protocol.VerbImport:
		offset, _ := protocol.ParseOffset(second)
		page, err := c.Import(ctx, name, offset)
		return protocol.AppendImportPage(nil, page), err
	case protocol.VerbSign:
		s, err := c.Sign(ctx, name, second)
		return protocol.AppendSignature(nil, s.Timestamp, s.Nonce, s.Signature), err
	case protocol.VerbList:
		list, err := c.List(ctx, name)
		return appendListings(nil, list), err
	case protocol.VerbStatus:
		pairs, err := c.Status(ctx, name)
		return appendPairs(nil, pairs), err
	case protocol.VerbStats:
		pairs, err := c.Stats(ctx)
		return appendPairs(nil, pairs), err
	case protocol.VerbHistory:
		attempts, err := c.History(ctx, name)
		out = protocol.AppendCount(nil, len(attempts))
		for _, a := range attempts {
			out = protocol.AppendAttempt(out, a)
		}
		return out, err
	case protocol.VerbReload:
		return protocol.AppendOK(nil), c.Reload(ctx)
	case protocol.VerbBackup:
		var b bytes.Buffer
		err := c.Backup(ctx, &b)
		out = protocol.AppendCount(nil, (b.Len()+protocol.MaxPiece-1)/protocol.MaxPiece)
		for piece := range slices.Chunk(b.Bytes(), protocol.MaxPiece) {
			out = protocol.AppendPiece(out, piece)
		}
		return out, err
	case protocol.VerbWatch:
		return watch(ctx, c, name, lines)
	default:
		return nil, fmt.Errorf("no method for %s", verb)
	}
	return protocol.AppendValue(nil, cred.TTL, string(cred.Value)), err
}

func watch(ctx context.Context, c *Client, prefix string, lines int) (out []byte, err error) {
	w, err := c.Watch(ctx, prefix)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	out = appendListings(nil, w.List())
	for range lines - 1 - len(w.List()) {
		l, err := w.Next(ctx)
		if err != nil {
			return nil, err
		}
		out = protocol.AppendChanged(out, l.Name, l.State, l.TTL)
	}
	return out, nil
}

func appendListings(out []byte, list []Listing) []byte {
	out = protocol.AppendCount(out, len(list))
	for _, l := range list {
		out = protocol.AppendListing(out, l.Name, l.State, l.TTL)
	}
	return out
}

func appendPairs(out []byte, pairs []Pair) []byte {
	out = protocol.AppendCount(out, len(pairs))
	for _, p := range pairs {
		out = protocol.AppendPair(out, p.Key, p.Value)
	}
	return out
}

// sayable returns the exchanges that this library can make. It cannot send a malformed request or
// QUIT; closing the connection replaces QUIT.
func sayable(all []conversation.Exchange) []conversation.Exchange {
	var some []conversation.Exchange
	for _, x := range all {
		if verb, _, ok := parse(x.Request); ok && verb != protocol.VerbQuit {
			some = append(some, x)
		}
	}
	return some
}

// TestConversations holds that the client parses every reply of every conversation completely.
func TestConversations(t *testing.T) {
	all, err := conversation.Load(os.DirFS("../testdata/conversations"))
	if err != nil {
		t.Fatal(err)
	}
	for _, speed := range []struct {
		name string
		wrap func(io.Writer) io.Writer
	}{
		{"at once", func(w io.Writer) io.Writer { return w }},
		{"byte by byte", func(w io.Writer) io.Writer { return slowly{w} }},
	} {
		t.Run(speed.name, func(t *testing.T) {
			transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
				for _, c := range all {
					t.Run(c.Name, func(t *testing.T) {
						exchanges, err := c.Exchanges()
						if err != nil {
							t.Fatal(err)
						}
						exchanges = sayable(exchanges)
						s := &script{left: exchanges, wrap: speed.wrap}
						client := connect(&fakeDaemon{serve: s.serve})
						for _, x := range exchanges {
							got, err := say(t.Context(), client, x)
							if want := strings.Join(x.Reply, "\n") + "\n"; err != nil || got != want {
								t.Errorf("line %d: error %v\n got: %q\nwant: %q", x.Line, err, got, want)
							}
						}
						s.mu.Lock()
						defer s.mu.Unlock()
						for _, fault := range s.faults {
							t.Error(fault)
						}
					})
				}
			})
		})
	}
}
