package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// meter counts the calls to a WeChat, and makes them wait while WeChat is unreachable.
type meter struct {
	wechat http.Handler // set at creation

	mu      sync.Mutex    // guards the following fields
	back    chan struct{} // closed when WeChat is reachable again; nil while it is reachable
	total   int           // number of calls
	running int           // of these, running now
	most    int           // maximum of running
	late    []time.Time   // times of the calls of the last second, oldest first
	fastest int           // maximum number of calls within any second
}

func (m *meter) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	back := m.begin(time.Now())
	defer m.end()
	if back != nil && !await(r, back) {
		panic(http.ErrAbortHandler)
	}
	m.wechat.ServeHTTP(rw, r)
}

// setAway makes WeChat unreachable or reachable. When it is reachable again, waiting calls are
// answered.
func (m *meter) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case away && m.back == nil:
		m.back = make(chan struct{})
	case !away && m.back != nil:
		close(m.back)
		m.back = nil
	}
}

// await waits until WeChat is reachable and reports whether the caller is still connected. It reads
// the body first: only then does the server notice that the caller disconnects.
func await(r *http.Request, back <-chan struct{}) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	select {
	case <-back:
		return true
	case <-r.Context().Done():
		return false
	}
}

// begin counts a call and returns the channel to wait for, or nil.
func (m *meter) begin(now time.Time) (back <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total++
	m.running++
	m.most = max(m.most, m.running)
	for len(m.late) > 0 && now.Sub(m.late[0]) >= time.Second {
		m.late = m.late[1:]
	}
	m.late = append(m.late, now)
	m.fastest = max(m.fastest, len(m.late))
	return m.back
}

func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
}

// String returns the counts.
func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d calls, at most %d within a second, at most %d at once", m.total, m.fastest, m.most)
}
