package wechattest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// maxAnswer is how much of the answer to a push is read.
	maxAnswer = 4 << 10

	// maxDeliveries is how many deliveries are kept.
	maxDeliveries = 10_000

	// verifyLimit is how long WeCom waits for the answer to its GET.
	verifyLimit = time.Second
)

// Delivery is one attempt to deliver a push. It contains no ticket and no code.
type Delivery struct {
	At     time.Time
	Took   time.Duration
	Owner  string
	Kind   string // the event's
	Try    int    // from 1
	Status int    // HTTP status; 0 without an answer
	Body   string // the first 4 KiB of the answer

	// Err is nil if the answer was correct: HTTP 200 with exactly "success", in time.
	Err error
}

// SetCallback sets the URL that an owner's pushes go to, such as "http://127.0.0.1:8711/callback".
// Empty, the default, means none. SetCallback does not verify the URL. It panics if there is no
// such owner.
func (w *WeChat) SetCallback(owner, url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner(owner).callback = url
	w.wakePushes()
}

// Deliveries returns the last 10 000 attempts to deliver pushes, oldest first.
func (w *WeChat) Deliveries() []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Delivery(nil), w.deliveries...)
}

// Send sends a push to its owner's callback until it is accepted or given up, and returns the last
// attempt. WeChat waits 5 s for an answer, WeCom 1 s for the answer to an authorization event.
// After an attempt without an answer, or with an HTTP status other than 200, the same bytes are
// sent again immediately; see [Settings.PushTries]. Send panics if there is no such owner.
func (w *WeChat) Send(ctx context.Context, owner string, p Push) Delivery {
	w.mu.Lock()
	o := w.owner(owner)
	callback := o.callback
	tries := cmp.Or(w.set.PushTries, 1)
	if w.set.PushTries == 0 && o.suite {
		tries = 3
	}
	w.mu.Unlock()

	d := Delivery{Owner: owner, Kind: p.Event.Kind}
	for d.Try < tries {
		d.Try++
		w.try(ctx, &d, callback, p)
		if d.Status == http.StatusOK || ctx.Err() != nil {
			break
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(o, d)
	return d
}

// try sends a push once and records the result.
func (w *WeChat) try(ctx context.Context, d *Delivery, callback string, p Push) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.limit, 5*time.Second))
	defer cancel()
	d.At, d.Status, d.Body = time.Now(), 0, ""
	r, err := p.Request(ctx, callback)
	if err == nil {
		d.Status, d.Body, err = w.roundTrip(r)
	}
	switch {
	case err != nil:
		d.Err = err
	case d.Status != http.StatusOK:
		d.Err = fmt.Errorf("the callback answered HTTP %d", d.Status)
	case d.Body != "success":
		d.Err = errors.New("the callback did not answer success")
	default:
		d.Err = nil
	}
	d.Took = time.Since(d.At)

	w.mu.Lock()
	if len(w.deliveries) == maxDeliveries {
		w.deliveries = w.deliveries[1:]
	}
	w.deliveries = append(w.deliveries, *d)
	w.mu.Unlock()
	if w.set.OnPush != nil {
		w.set.OnPush(*d)
	}
}

// roundTrip makes one call to a callback. It does not follow redirects. An answer that does not end
// in time is an error.
func (w *WeChat) roundTrip(r *http.Request) (status int, body string, err error) {
	resp, err := w.set.PushTransport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, "", err
	}
	return resp.StatusCode, b.String(), nil
}

// VerifyCallback verifies a suite's callback URL, as WeCom does when it is entered in the console;
// nil means that the URL is the provider's. It panics if there is no such suite.
func (w *WeChat) VerifyCallback(ctx context.Context, suite string) error {
	query, echo := w.Verification(suite)
	w.mu.Lock()
	callback := w.owner(suite).callback
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	r, err := newRequest(ctx, http.MethodGet, callback, query, nil)
	if err != nil {
		return err
	}
	switch status, body, err := w.roundTrip(r); {
	case err != nil:
		return err
	case status != http.StatusOK:
		return fmt.Errorf("the callback answered HTTP %d", status)
	case body != echo:
		return errors.New("the callback did not answer the echo")
	}
	return nil
}
