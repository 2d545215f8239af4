package fetchers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/fetchers/secret"
)

const (
	// defaultTimeout is EasyWeChat's, and long against the 0.1 s that WeChat
	// usually takes.
	defaultTimeout = 5 * time.Second

	// maxBody bounds what is read of one answer. A token's answer has less
	// than 1 KiB, a page of 500 authorizers about 100 KiB.
	maxBody = 1 << 20

	defaultCalls = 32
)

// Client makes the calls of any number of fetchers to one host. The zero value
// calls WeChat itself. Its fields must not be changed after the first call,
// and it must not be copied after it; its methods may be called concurrently.
type Client struct {
	// URL is where the API is, such as "http://127.0.0.1:8712"; a path in it
	// is put before each endpoint's. Empty stands for WeChat's or
	// WeCom's own host, whichever the endpoint belongs to.
	URL string

	// Fallbacks are further base URLs of the same API, in order. A call that could not be sent, or
	// one that is safe to repeat and was not answered in time, puts the next one in use. The
	// first, URL, is tried again after 5 minutes; if it did not answer a request in time, then only
	// by a call that is safe to repeat. An errcode never changes the host.
	Fallbacks []string

	// Transport carries the calls; nil stands for a transport of the
	// Client's own. That one speaks HTTP/1.1, because a single HTTP/2
	// connection that has gone dead would take every call with it, and
	// uses no proxy, whatever the environment says: WeChat lists the
	// addresses that may call, and a proxy inherited by accident would change
	// ours. Redirects are never followed, with any Transport: a
	// secret would travel along.
	//
	// A Transport honours the context of a request while its answer's body is
	// being read, as [http.Transport] does.
	Transport http.RoundTripper

	// Timeout bounds one call from the first byte to the last; zero
	// stands for 5 s. The caller's context may end it sooner.
	Timeout time.Duration

	// Calls is how many calls are made to a host together, at most; zero stands for 32. The Client
	// does not enforce it, it keeps as many connections for the next calls. With fewer, each of a
	// burst of refreshes that ends while others wait would cost another a connection, and with it a
	// handshake.
	Calls int

	// Observe, if not nil, is told of each call when it has ended: its
	// path, how long it took, and its error. It is not told of what failed
	// before a connection was sought.
	Observe func(endpoint string, took time.Duration, err error)

	// Moved, if not nil, is called when another host than before is in use and has answered.
	Moved func(from, to string)

	once  sync.Once
	own   *http.Transport // set by once
	hosts hosts
}

// CloseIdleConnections closes the idle connections of the Client's own
// transport. Call it when no more calls will be made. A Transport that was
// handed in is its owner's to close.
func (c *Client) CloseIdleConnections() { c.ownTransport().CloseIdleConnections() }

func (c *Client) ownTransport() *http.Transport {
	c.once.Do(func() {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		c.own = &http.Transport{
			Protocols:           protocols,
			MaxIdleConnsPerHost: cmp.Or(c.Calls, defaultCalls),
			// Below the keep-alive time that web servers commonly have
			// (60 s and more), so that an idle connection is dropped by us
			// before it is dropped under a call of ours.
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
		}
	})
	return c.own
}

func (c *Client) transport() http.RoundTripper {
	if c.Transport != nil {
		return c.Transport
	}
	return c.ownTransport()
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

// call is one call of WeChat's API.
type call struct {
	platform platform
	path     string

	query url.Values
	body  any // of a POST, sent as JSON; nil makes a GET

	// with is what the call is made with beside the account's secret: a token, a
	// pushed ticket, a grant, a code. Without any one of them no call is made.
	with []secret.Text

	// child says that a token is among them, whose death an errcode may tell.
	child bool

	// effect is what a second request would do.
	effect effect

	// own is the account's secret, where the call carries one.
	own secret.Text

	// field is the word under which the answer carries the credential.
	field string

	// special is what errcodes call for at this endpoint where that is not
	// what they call for on the whole platform.
	special map[int]Reaction
}

// token makes the call and reads the credential in its answer.
func (c *Client) token(ctx context.Context, q call) (Token, error) {
	return do(ctx, c, q, q.token)
}

// do makes the call q, and reads its answer with read, whose errors say that
// what came is no answer.
func do[T any](ctx context.Context, c *Client, q call, read func(object) (T, error)) (T, error) {
	var none T
	host := c.hosts.pick(q.effect)
	req, err := c.request(ctx, q, c.base(host))
	if err != nil {
		return none, &TransportError{Endpoint: q.path, Err: err}
	}
	start := time.Now()
	var answer T
	body, status, err := c.exchange(req, q, host)
	switch {
	case err == nil:
		answer, err = readAnswer(q, status, body, read)
	case q.effect == spends:
		if a, broken := readAnswer(q, status, body, read); broken == nil {
			answer, err = a, nil
		}
	}
	if c.Observe != nil {
		c.Observe(q.path, time.Since(start), err)
	}
	return answer, err
}

// request builds the HTTP request of q to base. Its errors hold nothing of q's values.
func (c *Client) request(ctx context.Context, q call, base string) (*http.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(q.with, "") {
		return nil, errors.New("a credential to call with is missing")
	}
	if base == "" {
		base = q.platform.host()
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the base URL is not one of http or https") // url.Error would print it
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + q.path
	u.RawQuery = q.query.Encode()

	if q.body == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, errors.New("the base URL cannot be called")
		}
		// net/http repeats a GET by itself when a kept connection dies under it
		// after the request was written, and WeChat would make two tokens of
		// that. It cannot repeat what has a body that it cannot rewind; an
		// empty one is probed first and not sent.
		req.Body = io.NopCloser(strings.NewReader(""))
		req.Header.Set("User-Agent", "tokend")
		return req, nil
	}
	body, err := json.Marshal(q.body)
	if err != nil {
		return nil, errors.New("the request cannot be encoded")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the base URL cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tokend")
	return req, nil
}

// exchange sends req, which is q's and goes to host, and returns what comes back, as far as it
// came.
func (c *Client) exchange(req *http.Request, q call, host int) (body []byte, status int, err error) {
	patience := req.Context()
	ctx, cancel := context.WithTimeout(patience, c.timeout())
	defer cancel()

	began := time.Now()
	var reach reach
	body, status, err = c.roundTrip(req.WithContext(httptrace.WithClientTrace(ctx, reach.trace())))
	if err == nil {
		c.answered(host, began)
		return body, status, nil
	}
	sent, reused := reach.far()
	fault := &TransportError{Endpoint: q.path, Sent: sent, Err: err}
	switch gone := patience.Err(); {
	case errors.Is(err, errTooLarge):
		return body, status, fault
	case gone != nil:
		fault.Err = gone
	case ctx.Err() != nil:
		fault.Err = fmt.Errorf("no answer within %v: %w", c.timeout(), context.DeadlineExceeded)
	default:
		fault.Err = q.scrubber().error(err)
	}
	if !errors.Is(fault.Err, context.Canceled) { // then it tells nothing of the host
		fault.Repeat = c.failed(failure{host, q.effect, sent, reused, errors.Is(fault.Err, context.DeadlineExceeded)})
	}
	return body, status, fault
}

// roundTrip makes one HTTP exchange. It holds at most maxBody bytes of whatever
// comes, and gives up the connection where more would come. With an error it returns what came
// before it.
func (c *Client) roundTrip(req *http.Request) (body []byte, status int, err error) {
	// RoundTrip and not http.Client: no redirects, no cookies, and no
	// *url.Error with the query in it.
	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = readBody(resp.Body, resp.ContentLength)
	return body, resp.StatusCode, err
}

// usualBody is what an answer has whose length is not told: most have less.
const usualBody = 1 << 10

// readBody reads to the end of r, and fails if that is beyond maxBody bytes. It makes room at once
// for the length that is told, less than none for none, and for the read that finds the end. With
// an error it returns what came before it.
func readBody(r io.Reader, told int64) ([]byte, error) {
	if told < 0 || told > maxBody {
		told = usualBody
	}
	var body bytes.Buffer
	body.Grow(int(told) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(r, maxBody+1))
	if err == nil && body.Len() > maxBody {
		err = errTooLarge
	}
	return body.Bytes(), err
}

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// reach tells how far a request got.
type reach struct {
	mu                      sync.Mutex // the hooks may run on the transport's goroutines
	sought, reached, reused bool
}

func (r *reach) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { r.mu.Lock(); r.sought = true; r.mu.Unlock() },
		GotConn: func(i httptrace.GotConnInfo) { r.mu.Lock(); r.reached, r.reused = true, i.Reused; r.mu.Unlock() },
	}
}

// far reports whether WeChat may have seen the request, and whether on a connection that had
// carried another. Only a transport that sought a connection and got none (name, address, TLS) has
// surely sent nothing; one that tells nothing may have sent all.
func (r *reach) far() (sent, reused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reached || !r.sought, r.reused
}
