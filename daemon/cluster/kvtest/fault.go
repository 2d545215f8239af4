package kvtest

import (
	"slices"
	"strings"
	"time"

	"tokend/daemon/cluster"
)

// Request is a request of a client, as [Client.Faults] sees it.
type Request struct {
	Method   Method
	Endpoint string
	Range    cluster.Range // if the Method is Range
	Txn      cluster.Txn   // if the Method is Txn
}

// within reports whether all keys of r have a prefix. A transaction has those of both branches.
func (r Request) within(prefix string) bool {
	var keys []string
	switch r.Method {
	case Range:
		keys = append(keys, r.Range.Prefix)
	case Txn:
		for _, c := range r.Txn.If {
			keys = append(keys, c.Key)
		}
		for _, op := range slices.Concat(r.Txn.Then, r.Txn.Else) {
			keys = append(keys, op.Key)
		}
	}
	return !slices.ContainsFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// Method is the method of a [cluster.KV] that made a request.
type Method uint8

// Methods.
const (
	Range Method = iota
	Txn
	Grant
	KeepAlive
	Revoke
)

// Fault is what happens to one request. The zero value is no fault. A client that has no answer
// waits until its context is done.
type Fault struct {
	// Refuse is answered at once. The request is not applied.
	Refuse error

	// Lost: the request does not arrive. Nothing is applied, no answer comes.
	Lost bool

	// Frozen: the request waits until [Client.Thaw], as after [Client.Freeze].
	Frozen bool

	// Delay is how much later the request arrives, also if its client has given up.
	Delay time.Duration

	// Again, if positive, is how long after that the request arrives a second time. The client
	// gets the first answer.
	Again time.Duration

	// Unseen: the request is applied, no answer comes.
	Unseen bool

	// Answer is how much later the answer comes.
	Answer time.Duration
}

// Faults makes choose decide the fate of every further request. Nil means no faults. choose may use
// the Etcd and its clients.
func (c *Client) Faults(choose func(Request) Fault) {
	c.etcd.mu.Lock()
	defer c.etcd.mu.Unlock()
	c.choose = choose
}

// Limit makes etcd deny the client's user all keys but those with a prefix.
func (c *Client) Limit(prefix string) { c.set(func() { c.limit = prefix }) }

// Cut cuts the client off from etcd until [Client.Heal]: its requests and their answers are lost,
// its watches are silent.
func (c *Client) Cut() { c.set(func() { c.cut = true }) }

// Heal ends what [Client.Cut] began. Watches resume where they were.
func (c *Client) Heal() { c.set(func() { c.cut = false }) }

// Freeze holds the client's requests, answers and watches back until [Client.Thaw].
func (c *Client) Freeze() { c.set(func() { c.frozen = true }) }

// Thaw lets what [Client.Freeze] or a [Fault] holds back continue, in order.
func (c *Client) Thaw() {
	c.set(func() {
		c.frozen = false
		held := c.held
		c.held = nil
		run(held)
	})
}

// MuteWatches makes the client's watches silent until [Client.UnmuteWatches]. A compaction in
// between ends them.
func (c *Client) MuteWatches() { c.set(func() { c.mute = true }) }

// UnmuteWatches ends what [Client.MuteWatches] began.
func (c *Client) UnmuteWatches() { c.set(func() { c.mute = false }) }

// BreakWatches ends the client's watches with an error.
func (c *Client) BreakWatches() { c.set(func() { c.broken++ }) }

// Lag delays everything that the client's watches yield.
func (c *Client) Lag(d time.Duration) { c.set(func() { c.lag = d }) }

func (c *Client) set(f func()) {
	c.etcd.mu.Lock()
	defer c.etcd.mu.Unlock()
	f()
	c.etcd.wake()
}
