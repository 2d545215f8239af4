package wechattest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServeHTTP makes w an [http.Handler] for both of WeChat's hosts.
func (w *WeChat) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rep := reply{cut: true}
	if !w.isAway() {
		rep = w.serve(r)
	}
	if rep.cut {
		abort(r.Context())
	}
	maps.Copy(rw.Header(), rep.header)
	rw.WriteHeader(rep.status)
	_, _ = io.Copy(rw, rep.reader()) // an error means that the caller has gone
}

// connKey is the key of a [Server]'s connection in the context of its requests.
type connKey struct{}

// abort cuts the connection: with a reset if it belongs to a [Server], and otherwise with
// [http.ErrAbortHandler].
func abort(ctx context.Context) {
	if tcp, ok := ctx.Value(connKey{}).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	panic(http.ErrAbortHandler)
}

// Server serves a [WeChat] on a port.
type Server struct {
	// URL is the base URL, such as "http://127.0.0.1:40123".
	URL string

	http    *http.Server
	cancel  context.CancelFunc // ends the waits of handlers
	running sync.WaitGroup     // Serve, and the connections
}

// Start serves w on a TCP address; empty means a free loopback port. The caller must call
// [Server.Close].
func (w *WeChat) Start(addr string) (*Server, error) { return w.StartHandler(addr, w) }

// StartHandler is [WeChat.Start] with a handler that forwards other requests to w.
func (w *WeChat) StartHandler(addr string, h http.Handler) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{URL: "http://" + ln.Addr().String(), cancel: cancel}
	s.http = &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:         s.track,
		ReadHeaderTimeout: 10 * time.Second,
	}
	s.running.Go(func() { _ = s.http.Serve(ln) }) // ErrServerClosed, after Close
	return s, nil
}

// track counts a connection from before the start of its goroutine, while Serve is running, to the
// goroutine's end.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.running.Add(1)
	case http.StateClosed:
		s.running.Done()
	}
}

// Close stops serving: it closes the connections and waits for everything that it started. The
// WeChat keeps its tokens and may be started again.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.running.Wait()
	return err
}
