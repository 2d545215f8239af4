package wechattest

import (
	"encoding/json"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"
)

func TestServer(t *testing.T) {
	ended := make(chan Call, 8)
	c := newCaller(t, Settings{OnCall: func(c Call) { ended <- c }})
	s, err := c.Start("")
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	get := func() (*http.Response, error) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+CorpToken+"?corpid=ww01&corpsecret=app-secret-1", nil)
		return transport.RoundTrip(req)
	}

	resp, err := get()
	if err != nil {
		t.Fatal(err)
	}
	var got said
	err = json.NewDecoder(resp.Body).Decode(&got)
	_ = resp.Body.Close()
	if err != nil || !c.Valid(got.Access) || resp.Header.Get("Error-Code") != "0" {
		t.Errorf("got %+v, %v, headers %v", got, err, resp.Header)
	}

	c.Inject(Fault{Cut: true, Times: 1})
	transport.CloseIdleConnections() // on a reused connection, net/http would repeat the GET
	if _, err := get(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cut: got %v", err)
	}
	c.SetAway(true)
	if _, err := get(); err == nil {
		t.Error("unreachable: got an answer")
	}
	c.SetAway(false)

	// Close ends waiting calls and returns when they have ended.
	for len(ended) > 0 {
		<-ended
	}
	c.Inject(Fault{Delay: time.Hour})
	failed := make(chan error, 1)
	go func() { _, err := get(); failed <- err }()
	for c.Calls(CorpToken) < 3 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Close returned while a call was being served")
	}
	if err := <-failed; err == nil {
		t.Error("an answer from a closed server")
	}
	if _, err := get(); err == nil {
		t.Error("a closed server answers")
	}
}

func TestServerAddress(t *testing.T) {
	s, err := New(Settings{}).Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := New(Settings{}).Start(s.URL[len("http://"):]); err == nil {
		t.Error("two servers on one address")
	}
}
