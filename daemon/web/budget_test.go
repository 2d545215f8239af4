package web

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
)

// address returns the nth source.
func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// overspend sends a body every pause, from the given number of sources in rotation. Each body takes
// the inbox cost. overspend returns the total time spent in an hour.
func overspend(b *budget, sources int, cost, pause time.Duration) (spent time.Duration) {
	began := time.Now()
	for i, now := 0, began; now.Sub(began) < time.Hour; i, now = i+1, now.Add(pause) {
		if from := address(i % sources); b.admit(from, now) {
			b.failed(from, cost, now)
			spent += cost
		}
	}
	return spent
}

func TestBudgetBounds(t *testing.T) {
	for _, test := range []struct {
		name    string
		sources int
		cost    time.Duration
		limit   time.Duration
	}{
		{"one source", 1, 50 * time.Millisecond, time.Hour/sourceShare + time.Second},
		{"one source, small bodies", 1, time.Millisecond, time.Hour/sourceShare + time.Second},
		{"a hundred sources", 100, 50 * time.Millisecond, time.Hour/totalShare + time.Second},
		{"a million sources", 1 << 20, 10 * time.Millisecond, time.Hour/totalShare + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b budget
			spent := overspend(&b, test.sources, test.cost, 5*time.Millisecond)
			if spent > test.limit || spent < test.limit/2 {
				t.Errorf("strangers used %v of an hour, want at most %v and not much less", spent, test.limit)
			}
			if len(b.sources) > maxSources {
				t.Errorf("%d sources are tracked", len(b.sources))
			}
		})
	}
}

// A source that has sent a genuine push is not rejected because of other sources.
func TestTrustedSourceNotStarved(t *testing.T) {
	var b budget
	now := time.Now()
	wechat, stranger := address(1<<20), address(1<<20+1)
	b.genuine(wechat, now)
	for i := range 2 * maxSources {
		b.failed(address(i), time.Second, now)
	}
	if !b.admit(wechat, now) {
		t.Error("WeChat is rejected because of others")
	}
	if b.admit(stranger, now) {
		t.Error("an unknown source is admitted while the budget is overdrawn")
	}
	b.failed(wechat, time.Second, now)
	if b.admit(wechat, now) {
		t.Error("a trusted source has no limit of its own")
	}
	later := now.Add(genuineLife)
	b.failed(stranger, time.Hour, later)
	if b.admit(wechat, later) {
		t.Error("a source stays trusted")
	}
}

// Behind a proxy, all requests come from one source. Pushes of the usual size are still accepted
// while the budget is overdrawn.
func TestSmallPushesAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cost = 50 * time.Millisecond
		inbox := &costlyInbox{cost: cost}
		s, log := newTestServer(t, Config{}, inbox)
		large := strings.Repeat("<", freeBody+1)
		junk := func(body string) int {
			return ask(s, "POST", "/callback/"+platform+"?msg_signature=x&timestamp=1&nonce=n", body).Code
		}
		for range 100 {
			junk(large)
		}
		if took := time.Duration(inbox.n) * cost; took > 2*sourceLeeway/sourceShare+cost {
			t.Errorf("100 large bodies took %v", took)
		}
		if code := junk(large); code != 503 || !strings.Contains(log.String(), "too many large bodies") {
			t.Errorf("one more is answered %d\n%s", code, log)
		}
		for range 10 {
			if code := ask(s, "POST", "/callback/"+platform+signed, strings.Repeat("<", freeBody)).Code; code != 200 {
				t.Errorf("a genuine push is answered %d", code)
			}
			if code := junk("<xml/>"); code != 403 {
				t.Errorf("a small body is answered %d", code)
			}
		}
		time.Sleep(10 * time.Second)
		if code := ask(s, "POST", "/callback/"+platform+signed, large).Code; code != 200 {
			t.Errorf("a large genuine push is answered %d after the attack", code)
		}
	})
}

// costlyInbox spends cost on a large body that is not genuine.
type costlyInbox struct {
	fakeInbox
	cost time.Duration
	n    int
}

func (c *costlyInbox) Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error {
	err := c.fakeInbox.Envelope(ctx, owner, signature, timestamp, nonce, body)
	if _, refused := err.(*credential.Error); refused && len(body) > freeBody {
		c.n++
		time.Sleep(c.cost)
	}
	return err
}
