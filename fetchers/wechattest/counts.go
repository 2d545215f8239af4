package wechattest

import "time"

// Call is one call as it went. It holds no secret and no token.
type Call struct {
	At       time.Time // when it came
	Took     time.Duration
	Endpoint string // its path

	// Account is who called: an appid, a "corpid/agentid", a provider's corpid, a
	// platform's appid or a suite's id, a customer as "appid/authorizer appid" or
	// "suite/corpid", a downstream corp as "corpid/agentid/downstream"; an id that is not known, as it came; or empty where
	// a token does not say whose it is.
	Account string

	ErrCode int

	// Issued says that the call made a new token or ticket.
	Issued bool

	// Trouble says what a [Fault] made of the call: "HTTP 502", "cut",
	// "answer lost"; empty where it was answered as WeChat answers.
	Trouble string
}

// counted is what calls are counted by. The type tells the tickets of one
// endpoint apart.
type counted struct{ endpoint, account, typ string }

// counts are the calls so far.
type counts struct {
	total   int
	calls   map[counted]int
	running map[counted]int
	most    map[counted]int
}

func newCounts() counts {
	return counts{calls: map[counted]int{}, running: map[counted]int{}, most: map[counted]int{}}
}

func (c *counts) begin(k counted) {
	c.total++
	c.calls[k]++
	c.running[k]++
	c.most[k] = max(c.most[k], c.running[k])
}

func (c *counts) end(k counted) {
	if c.running[k]--; c.running[k] == 0 {
		delete(c.running, k)
	}
}

// Total returns how many calls came, refused ones included. What is turned away
// while WeChat is away is not counted.
func (w *WeChat) Total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts.total
}

// Calls returns how many calls came to an endpoint.
func (w *WeChat) Calls(endpoint string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for k, c := range w.counts.calls {
		if k.endpoint == endpoint {
			n += c
		}
	}
	return n
}

// CallsFor returns how many of them an account made; see [Call.Account].
func (w *WeChat) CallsFor(endpoint, account string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for k, c := range w.counts.calls {
		if k.endpoint == endpoint && k.account == account {
			n += c
		}
	}
	return n
}

// MaxConcurrent returns how many calls for one credential (an account's, at
// an endpoint, of one ticket type) were ever under way at once.
func (w *WeChat) MaxConcurrent(endpoint, account string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := 0
	for k, c := range w.counts.most {
		if k.endpoint == endpoint && k.account == account {
			most = max(most, c)
		}
	}
	return most
}
