package clientlibtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// The requests, in no language. Each counts itself.

// The fixed parts of replies.
const (
	signTime  = 946684800 // 2000-01-01T00:00:00Z
	signNonce = "clientlibtest"
	customer  = "clientlibtest" // that every code belongs to
	putTTL    = 12 * time.Hour
)

// begin counts a request and returns the error that the test has set for it. The caller holds s.mu.
func (s *Server) begin(verb protocol.Verb, name string) error {
	s.counts[request{verb, name}]++
	if err := s.failed[name]; err != nil {
		return err
	}
	return nil
}

// get is GET, and with a value REJECT, and REFRESH.
func (s *Server) get(verb protocol.Verb, name, rejected string) (value string, ttl time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(verb, name); err != nil {
		return "", 0, err
	}
	c := s.known[name]
	if c == nil {
		return "", 0, errNotFound
	}
	if len(c.next) > 0 && (verb == protocol.VerbRefresh || verb == protocol.VerbReject && rejected == c.value) {
		c.value, c.next = c.next[0], c.next[1:]
	}
	return c.value, c.ttl, nil
}

var errNotFound = &protocol.Error{Code: protocol.NotFound, RetryAfter: protocol.Never, Message: "no such credential"}

func (s *Server) put(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(protocol.VerbPut, name); err != nil {
		return err
	}
	s.known[name] = &credential{value: value, ttl: putTTL}
	return nil
}

func (s *Server) push(owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(protocol.VerbPush, owner)
}

func (s *Server) exchange(owner string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return owner + "/" + customer, s.begin(protocol.VerbExchange, owner)
}

// sign returns the signature of a page, made with the ticket, as WeChat verifies it.
func (s *Server) sign(name, url string) (signature string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(protocol.VerbSign, name); err != nil {
		return "", err
	}
	c := s.known[name]
	if c == nil {
		return "", errNotFound
	}
	return fetchers.Sign(secret.Text(c.value), signNonce, signTime, url), nil
}

// list returns the names that begin with prefix, sorted, with their ttls.
func (s *Server) list(prefix string) (all []protocol.Listing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(protocol.VerbList, prefix); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.known)) {
		if strings.HasPrefix(name, prefix) {
			all = append(all, protocol.Listing{Name: name, State: "fresh", TTL: s.known[name].ttl})
		}
	}
	return all, nil
}

// status returns the state and the ttl.
func (s *Server) status(name string) (pairs [][2]string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(protocol.VerbStatus, name); err != nil {
		return nil, err
	}
	c := s.known[name]
	if c == nil {
		return nil, errNotFound
	}
	return [][2]string{{"state", "fresh"}, {"ttl", fmt.Sprint(int64(c.ttl / time.Second))}}, nil
}

// other is a request that the Server does not know.
func (s *Server) other(verb protocol.Verb, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(verb, name); err != nil {
		return err
	}
	return &protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never, Message: "clientlibtest has no " + verb.String()}
}
