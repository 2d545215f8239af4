package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestMeter holds that calls are counted: in total, at once, and within a second.
func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{wechat: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) })}
		call := func() { go m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) }
		for range 3 {
			call()
		}
		time.Sleep(900 * time.Millisecond)
		call()
		call()
		time.Sleep(99 * time.Millisecond)
		call()
		time.Sleep(time.Millisecond) // a second after the first
		call()
		time.Sleep(time.Second)
		if got, want := m.String(), "7 calls, at most 6 within a second, at most 4 at once"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
