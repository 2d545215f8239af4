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
	_, _ = io.Copy(rw, rep.reader()) // a caller that has gone is its own loss
}

// connKey is under which a [Server] keeps the connection in the context of its
// requests.
type connKey struct{}

// abort cuts the connection: with a reset where it is a [Server]'s own, and else
// as [http.ErrAbortHandler] does.
func abort(ctx context.Context) {
	if tcp, ok := ctx.Value(connKey{}).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	panic(http.ErrAbortHandler)
}

// Server is a [WeChat] behind a port.
type Server struct {
	// URL is where it is served, such as "http://127.0.0.1:40123".
	URL string

	http    *http.Server
	cancel  context.CancelFunc // ends what handlers wait for
	running sync.WaitGroup     // Serve, and the connections
}

// Start serves w on a TCP address; empty stands for a free port of loopback. Call
// [Server.Close] when done.
func (w *WeChat) Start(addr string) (*Server, error) { return w.StartHandler(addr, w) }

// StartHandler is [WeChat.Start] with a handler that hands on to w what is not its own.
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

// track counts a connection from before its goroutine is started, while Serve
// is running, to the end of that goroutine.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.running.Add(1)
	case http.StateClosed:
		s.running.Done()
	}
}

// Close stops serving: it cuts the connections and waits for what it has
// started. The WeChat keeps its tokens, and may be started again.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.running.Wait()
	return err
}
