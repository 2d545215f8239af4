package wechattest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
)

// Transport returns a transport that calls w directly, whatever the URL's host. It needs no socket
// and runs in the caller's goroutine, and so in virtual time inside a testing/synctest bubble. It
// ends a call when the request's context ends, and reports to [httptrace] whether there was a
// connection.
func (w *WeChat) Transport() http.RoundTripper { return transport{w} }

// Client returns an HTTP client with [WeChat.Transport].
func (w *WeChat) Client() *http.Client { return &http.Client{Transport: w.Transport()} }

type transport struct{ w *WeChat }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(r.URL.Host)
	}
	if t.w.isAway() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	rep := t.w.serve(r)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case rep.cut:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	length := int64(len(rep.body))
	if rep.blanks > 0 {
		length = -1 // as over a socket
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", rep.status, http.StatusText(rep.status)),
		StatusCode:    rep.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rep.header,
		Body:          io.NopCloser(rep.reader()),
		ContentLength: length,
		Request:       r,
	}, nil
}
