package fetchers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// conduct is the behavior of a fakeHost for a connection or a request.
type conduct int

const (
	answers     conduct = iota
	refuses             // rejects the connection
	unreachable         // does not answer the connection
	hangs               // reads the request and does not answer
	cuts                // reads the request and closes
	errcodes            // answers with an errcode
)

// fakeHost is a host in a bubble.
type fakeHost struct {
	mu       sync.Mutex
	does     func(conn int) conduct // nil: answers; conn counts from 1
	conns    int
	requests int
}

func (h *fakeHost) set(does func(conn int) conduct) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.does = does
}

func (h *fakeHost) always(c conduct) { h.set(func(int) conduct { return c }) }

func (h *fakeHost) counts() (conns, requests int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns, h.requests
}

func (h *fakeHost) doing(conn int) conduct {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.does == nil {
		return answers
	}
	return h.does(conn)
}

func (h *fakeHost) dial(ctx context.Context) (net.Conn, error) {
	h.mu.Lock()
	h.conns++
	n := h.conns
	h.mu.Unlock()
	switch h.doing(n) {
	case refuses:
		return nil, errors.New("connection refused")
	case unreachable:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	here, there := net.Pipe()
	go h.serve(n, there)
	return here, nil
}

func (h *fakeHost) serve(n int, conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		h.mu.Lock()
		h.requests++
		h.mu.Unlock()
		body := `{"access_token":"tok-01","provider_access_token":"tok-01","suite_access_token":"tok-01",` +
			`"component_access_token":"tok-01","ticket":"tok-01","expires_in":7200}`
		switch h.doing(n) {
		case hangs:
			_, _ = r.Peek(1) // until the client gives up
			return
		case cuts:
			return
		case errcodes:
			body = `{"errcode":-1,"errmsg":"system error"}`
		}
		time.Sleep(100 * time.Millisecond) // so that concurrent calls have a connection each
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// hostsIn returns a client of hosts named 1.test, 2.test and so on, in a bubble.
func hostsIn(t *testing.T, n int) (*Client, []*fakeHost) {
	t.Helper()
	all := make([]*fakeHost, n)
	urls := make([]string, n)
	for i := range all {
		all[i], urls[i] = new(fakeHost), fmt.Sprintf("http://%d.test", i+1)
	}
	c := &Client{URL: urls[0], Fallbacks: urls[1:], Timeout: 2 * time.Second}
	c.ownTransport().DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		var i int
		if _, err := fmt.Sscanf(addr, "%d.test:80", &i); err != nil {
			return nil, err
		}
		return all[i-1].dial(ctx)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c, all
}
