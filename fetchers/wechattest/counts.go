package wechattest

import "time"

// Call is one completed call. It contains no secret and no token.
type Call struct {
	At       time.Time // when it arrived
	Took     time.Duration
	Endpoint string // its path

	// Account is the caller: an appid, a "corpid/agentid", a provider's corpid, a platform's appid
	// or a suite's ID. A customer is "appid/authorizer appid" or "suite/corpid". A downstream corp
	// is "corpid/agentid/downstream". An unknown ID is kept as received. Account is empty if an
	// unknown token does not show its owner.
	Account string

	ErrCode int

	// Issued reports that the call issued a new token or ticket.
	Issued bool

	// Trouble is the effect of a [Fault]: "HTTP 502", "cut", "answer lost". It is empty for an
	// ordinary answer.
	Trouble string
}

// counted is the key that calls are counted by. typ distinguishes the tickets of one endpoint.
type counted struct{ endpoint, account, typ string }

// counts are the counters of calls.
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

// Total returns the number of calls, including rejected ones. Connections refused by
// [WeChat.SetAway] are not counted.
func (w *WeChat) Total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts.total
}

// Calls returns the number of calls to an endpoint.
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

// CallsFor returns the number of calls to an endpoint by an account; see [Call.Account].
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

// MaxConcurrent returns the maximum number of concurrent calls for one credential: an account, an
// endpoint and a ticket type.
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
