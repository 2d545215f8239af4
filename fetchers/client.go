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
	// defaultTimeout is EasyWeChat's default. WeChat usually takes 0.1 s.
	defaultTimeout = 5 * time.Second

	// maxBody bounds the size of an answer. An answer with a token has less than 1 KiB, a page of
	// 500 authorizers about 100 KiB.
	maxBody = 1 << 20

	defaultCalls = 32
)

// Client makes the calls of any number of fetchers to one host. The zero value calls WeChat itself.
// Its fields must not be changed, and it must not be copied, after the first call. Its methods may
// be called concurrently.
type Client struct {
	// URL is the base URL of the API, such as "http://127.0.0.1:8712". Its path, if any, precedes
	// the path of each endpoint. Empty means WeChat's or WeCom's own host, depending on the
	// endpoint.
	URL string

	// Fallbacks are further base URLs of the same API, in order. The Client switches to the next
	// one if a call could not be sent, or if a repeatable call was not answered in time. The first
	// one, URL, is tried again after 5 minutes. If URL did not answer a request in time, only a
	// repeatable call tries it. An errcode never changes the host.
	Fallbacks []string

	// Transport carries the calls. Nil means a transport of the Client's own, with HTTP/1.1,
	// because a single dead HTTP/2 connection would fail all calls. It ignores proxies from the
	// environment: WeChat has a list of addresses that may call, and an unintended proxy would
	// change the address. Redirects are never followed with any Transport, because they would
	// receive the secret.
	//
	// A Transport must honor the context of a request while the body of its answer is read, as
	// [http.Transport] does.
	Transport http.RoundTripper

	// Timeout bounds one call including its answer. Zero means 5 s. The caller's context may end
	// the call sooner.
	Timeout time.Duration

	// Calls is the maximum number of concurrent calls to a host. Zero means 32. The Client does not
	// enforce it, but keeps that many idle connections. With fewer, calls in a burst would have to
	// open new connections, each with a handshake.
	Calls int

	// Observe, if not nil, is called after each call with its path, duration and error. It is not
	// called for calls that failed before a connection was requested.
	Observe func(endpoint string, took time.Duration, err error)

	// Moved, if not nil, is called when a newly selected host has answered.
	Moved func(from, to string)

	once  sync.Once
	own   *http.Transport // set by once
	hosts hosts
}

// CloseIdleConnections closes the idle connections of the Client's own transport. Call it after the
// last call. It does not close a Transport supplied by the caller.
func (c *Client) CloseIdleConnections() { c.ownTransport().CloseIdleConnections() }

func (c *Client) ownTransport() *http.Transport {
	c.once.Do(func() {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		c.own = &http.Transport{
			Protocols:           protocols,
			MaxIdleConnsPerHost: cmp.Or(c.Calls, defaultCalls),
			// Less than the usual keep-alive time of web servers, 60 s and more. So the Client
			// closes an idle connection first, and no server closes it during a call.
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

	// with are the values that the call needs besides the account's secret: a token, a pushed
	// ticket, a grant, a code. If one of them is empty, no call is made.
	with []secret.Text

	// child reports that with contains a token, which an errcode may report as dead.
	child bool

	// effect is the effect of a second identical request.
	effect effect

	// own is the account's secret, if the call contains it.
	own secret.Text

	// field is the key of the credential in the answer.
	field string

	// special are the errcodes whose reaction at this endpoint differs from the platform's.
	special map[int]Reaction
}

// token makes the call and reads the credential in its answer.
func (c *Client) token(ctx context.Context, q call) (Token, error) {
	return do(ctx, c, q, q.token)
}

// do makes the call q and reads its answer with read. An error of read means that the answer is
// invalid.
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

// request builds the HTTP request of q to base. Its errors contain none of q's values.
func (c *Client) request(ctx context.Context, q call, base string) (*http.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(q.with, "") {
		return nil, errors.New("a required credential is missing")
	}
	if base == "" {
		base = q.platform.host()
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the base URL is not an http or https URL") // url.Error would contain the URL
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + q.path
	u.RawQuery = q.query.Encode()

	if q.body == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, errors.New("the base URL is invalid")
		}
		// If a reused connection dies after the request was written, net/http repeats a GET by
		// itself, and WeChat would issue two tokens. It does not repeat a request with a body that
		// it cannot rewind. An empty body is detected and not sent.
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
		return nil, errors.New("the base URL is invalid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tokend")
	return req, nil
}

// exchange sends req, the request of q to host, and returns as much of the answer as arrived.
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
	if !errors.Is(fault.Err, context.Canceled) { // otherwise the error says nothing about the host
		fault.Repeat = c.failed(failure{host, q.effect, sent, reused, errors.Is(fault.Err, context.DeadlineExceeded)})
	}
	return body, status, fault
}

// roundTrip makes one HTTP exchange. It reads at most maxBody bytes, and closes the connection if
// there are more. With an error it returns the bytes before the error.
func (c *Client) roundTrip(req *http.Request) (body []byte, status int, err error) {
	// RoundTrip instead of http.Client: no redirects, no cookies, and no *url.Error with the query.
	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = readBody(resp.Body, resp.ContentLength)
	return body, resp.StatusCode, err
}

// usualBody is the buffer for an answer of unknown length. Most answers are shorter.
const usualBody = 1 << 10

// readBody reads r to the end, and fails beyond maxBody bytes. announced is the announced length,
// negative if unknown. The buffer has space for it and for the read that finds the end. With an
// error readBody returns the bytes before the error.
func readBody(r io.Reader, announced int64) ([]byte, error) {
	if announced < 0 || announced > maxBody {
		announced = usualBody
	}
	var body bytes.Buffer
	body.Grow(int(announced) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(r, maxBody+1))
	if err == nil && body.Len() > maxBody {
		err = errTooLarge
	}
	return body.Bytes(), err
}

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// reach records how far a request got.
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

// far reports whether WeChat may have received the request, and whether on a reused connection. The
// request was certainly not sent if the transport requested a connection and got none (name,
// address, TLS). A transport that reports nothing may have sent it.
func (r *reach) far() (sent, reused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reached || !r.sought, r.reused
}
