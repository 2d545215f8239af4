package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSetAway holds that an unreachable WeChat answers no call, and answers when it is back.
func TestSetAway(t *testing.T) {
	o := &options{serve: "127.0.0.1:0", size: 64}
	w, err := newWorld(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	call := func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/cgi-bin/component/api_component_token", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	defer http.DefaultClient.CloseIdleConnections()
	if err := call(t.Context()); err != nil {
		t.Error(err)
	}
	w.meter.setAway(true)
	waiting := func(ctx context.Context, calls int) <-chan error {
		end := make(chan error, 1)
		go func() { end <- call(ctx) }()
		for w.meter.count() < calls {
			time.Sleep(time.Millisecond)
		}
		return end
	}
	ctx, cancel := context.WithCancel(t.Context())
	impatient := waiting(ctx, 2)
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Errorf("unreachable: got %v", err)
	}
	patient := waiting(t.Context(), 3)
	w.meter.setAway(false)
	if err := <-patient; err != nil {
		t.Errorf("a waiting call: %v", err)
	}
	if err := call(t.Context()); err != nil {
		t.Error(err)
	}
	if got := w.meter.count(); got != 4 {
		t.Errorf("%d calls were counted", got)
	}
}

// count returns the number of calls.
func (m *meter) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}
