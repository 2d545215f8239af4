package clientlibtest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tokend/protocol"
)

// Server is a fake tokend. Its methods may be called at any time.
type Server struct {
	// Socket is the path of the socket.
	Socket string

	dir      string
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	known  map[string]*credential
	failed map[string]*protocol.Error
	counts map[request]int
}

// credential is a value and those that follow it.
type credential struct {
	value string
	ttl   time.Duration
	next  []string
}

// request is what Count counts.
type request struct {
	verb protocol.Verb
	name string
}

// NewServer starts a Server without credentials. It panics if it cannot listen.
func NewServer() *Server {
	dir, err := os.MkdirTemp("", "tokend") // a socket's path must be short
	if err != nil {
		panic(fmt.Sprintf("clientlibtest: %v", err))
	}
	s := &Server{
		Socket: filepath.Join(dir, "s"),
		dir:    dir,
		conns:  map[net.Conn]bool{},
		known:  map[string]*credential{},
		failed: map[string]*protocol.Error{},
		counts: map[request]int{},
	}
	if s.listener, err = net.Listen("unix", s.Socket); err != nil {
		panic(fmt.Sprintf("clientlibtest: %v", err))
	}
	s.serving.Go(s.accept)
	return s
}

// Close closes the listener and all connections, and waits until nothing runs. Clients then find no
// daemon at the socket.
func (s *Server) Close() {
	_ = s.listener.Close() // again: harmless
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Disconnect()
	s.serving.Wait()
	_ = os.RemoveAll(s.dir) // the system cleans its temporary directory
}

// Set sets the value of a credential. GET returns it with that ttl, which does not run down.
func (s *Server) Set(name, value string, ttl time.Duration) {
	if !protocol.ValidName(name) || !protocol.ValidValue(value) {
		panic("clientlibtest: Set of a malformed name or value")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name] = &credential{value: value, ttl: ttl}
}

// Next sets the values that follow the current one. A REJECT of the current value, and every
// REFRESH, moves on by one. If none follows, both return the current value again, as tokend does if
// WeChat confirms a value. The credential must have been set.
func (s *Server) Next(name string, values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.known[name]
	if c == nil {
		panic("clientlibtest: Next without Set: " + name)
	}
	c.next = append(c.next, values...)
}

// Fail makes every request for a name or an owner return err, until Fail with nil.
func (s *Server) Fail(name string, err *protocol.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.failed, name)
		return
	}
	s.failed[name] = err
}

// Value returns the current value of a credential, also of a ticket that was PUT, or "".
func (s *Server) Value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.known[name]; c != nil {
		return c.value
	}
	return ""
}

// Count returns the number of requests with a verb for a name, owner or prefix. An empty name
// counts all requests with the verb.
func (s *Server) Count(verb protocol.Verb, name string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, count := range s.counts {
		if r.verb == verb && (name == "" || r.name == name) {
			n += count
		}
	}
	return n
}

// Disconnect closes all connections, as a restart of tokend does.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close() // its session ends
	}
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close() // nothing was written
		} else {
			s.conns[c] = true
			s.serving.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

// serve speaks with one client until it leaves.
func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close() // nothing is left to write
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	r := bufio.NewReaderSize(c, protocol.MaxLine)
	if first, err := r.Peek(1); err == nil && first[0] == '*' {
		s.respSession(r, c)
		return
	}
	s.lineSession(r, c)
}
