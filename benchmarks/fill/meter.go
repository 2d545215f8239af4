package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// meter counts the calls that come to a WeChat.
type meter struct {
	wechat http.Handler // set when it is made

	mu      sync.Mutex  // guards what follows
	total   int         // calls
	running int         // of them
	most    int         // that were running at once
	late    []time.Time // when those came that have come within the last second, the oldest first
	fastest int         // the most that ever were within a second, wherever it begins
}

func (m *meter) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	m.begin(time.Now())
	defer m.end()
	m.wechat.ServeHTTP(rw, r)
}

func (m *meter) begin(now time.Time) {
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
