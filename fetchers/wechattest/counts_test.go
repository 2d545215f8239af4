package wechattest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	var mu sync.Mutex
	var seen []Call
	bubble(t, Settings{OnCall: func(c Call) { mu.Lock(); defer mu.Unlock(); seen = append(seen, c) }}, func(c caller) {
		a := c.token().Access
		c.token()
		c.stable(false)
		c.stable(false)
		c.get(Token + "?appid=wx99")
		c.get(Ticket + "?type=jsapi&access_token=" + a)
		c.Inject(Fault{Endpoint: CorpToken, Delay: time.Second, Body: HTML, Times: 1})
		_, _ = c.Client().Get("https://wechat.test" + CorpToken + "?corpid=ww01&corpsecret=app-secret-2")

		type key struct{ endpoint, account string }
		for k, want := range map[key]int{
			{Token, "wx01"}: 2, {Token, "wx99"}: 1, {Token, "wx02"}: 0,
			{StableToken, "wx01"}: 2, {Ticket, "wx01"}: 1, {CorpToken, "ww01/1000002"}: 1,
		} {
			if got := c.CallsFor(k.endpoint, k.account); got != want {
				t.Errorf("%v: got %d calls, want %d", k, got, want)
			}
		}
		if got := c.Calls(Token); got != 3 {
			t.Errorf("calls of %s: got %d, want 3", Token, got)
		}
		if got := c.Total(); got != 7 || len(seen) != 7 {
			t.Errorf("total: got %d, and %d were shown", got, len(seen))
		}
		var issued []bool
		for _, s := range seen {
			issued = append(issued, s.Issued)
		}
		if want := []bool{true, true, true, false, false, true, true}; !slices.Equal(issued, want) {
			t.Errorf("issued: got %v, want %v", issued, want)
		}
		last := seen[6]
		want := Call{At: last.At, Took: time.Second, Endpoint: CorpToken, Account: "ww01/1000002", Issued: true, Trouble: "web page"}
		if last != want {
			t.Errorf("\n got %+v\nwant %+v", last, want)
		}
		if seen[4].ErrCode != 40013 {
			t.Errorf("errcode: got %d", seen[4].ErrCode)
		}
	})
}

func TestMaxConcurrent(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		token := c.stable(false).Access
		c.Inject(Fault{Endpoint: Ticket, Delay: time.Second})
		var wg sync.WaitGroup
		for i := range 6 {
			typ := []string{"jsapi", "wx_card"}[i%2]
			wg.Go(func() { c.get(Ticket + "?type=" + typ + "&access_token=" + token) })
		}
		wg.Wait()
		c.get(Ticket + "?type=jsapi&access_token=" + token)
		if got := c.MaxConcurrent(Ticket, "wx01"); got != 3 {
			t.Errorf("got %d, want 3 of one type", got)
		}
		if got := c.MaxConcurrent(StableToken, "wx01"); got != 1 {
			t.Errorf("got %d, want 1", got)
		}
		if len(c.counts.running) != 0 {
			t.Errorf("still running: %v", c.counts.running)
		}
	})
}

func TestUnknownPathsNotCounted(t *testing.T) {
	c := newCaller(t, Settings{})
	resp, err := c.Client().Get("https://wechat.test/cgi-bin/user/info?access_token=x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 404 || c.Total() != 0 || !strings.HasPrefix(resp.Status, "404 ") {
		t.Errorf("got %s, counted %d", resp.Status, c.Total())
	}
}
