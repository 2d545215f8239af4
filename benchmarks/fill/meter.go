package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// meter counts the calls that come to a WeChat, and has them wait while that is away.
type meter struct {
	wechat http.Handler // set when it is made

	mu      sync.Mutex    // guards what follows
	back    chan struct{} // closed when it is back; nil while it is here
	total   int           // calls
	running int           // of them
	most    int           // that were running at once
	late    []time.Time   // when those came that have come within the last second, the oldest first
	fastest int           // the most that ever were within a second, wherever it begins
}

func (m *meter) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	back := m.begin(time.Now())
	defer m.end()
	if back != nil && !await(r, back) {
		panic(http.ErrAbortHandler)
	}
	m.wechat.ServeHTTP(rw, r)
}

// setAway takes WeChat away, or gives it back: those whose callers have not left by then are
// answered at last.
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

// await waits until WeChat is back, and reports whether the caller is still there. It takes the
// body first: only then does the server notice that a caller leaves.
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

// begin counts a call, and returns what it has to wait for: nil for nothing.
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

// String says what has been counted.
func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d calls, at most %d within a second, at most %d at once", m.total, m.fastest, m.most)
}
