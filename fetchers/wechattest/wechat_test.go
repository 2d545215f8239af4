package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// said is a decoded answer.
type said struct {
	ErrCode   int      `json:"errcode"`
	ErrMsg    string   `json:"errmsg"`
	Access    string   `json:"access_token"`
	Provider  string   `json:"provider_access_token"`
	Ticket    string   `json:"ticket"`
	ExpiresIn int64    `json:"expires_in"`
	IPList    []string `json:"ip_list"`

	Component    string    `json:"component_access_token"`
	Suite        string    `json:"suite_access_token"`
	PreAuth      string    `json:"pre_auth_code"`
	Authorizer   string    `json:"authorizer_access_token"`
	Refresh      string    `json:"authorizer_refresh_token"`
	AuthorizerID string    `json:"authorizer_appid"`
	Info         *said     `json:"authorization_info"`
	Total        int       `json:"total_count"`
	List         []listing `json:"list"`
	Permanent    string    `json:"permanent_code"`
	AuthCorpInfo struct {
		CorpID string `json:"corpid"`
	} `json:"auth_corp_info"`
	AuthInfo struct {
		Agent []struct {
			AgentID    int  `json:"agentid"`
			Customized bool `json:"is_customized_app"`
		} `json:"agent"`
	} `json:"auth_info"`

	raw string // the whole answer
}

// listing is a customer in a platform's list.
type listing struct {
	AppID   string  `json:"authorizer_appid"`
	Refresh *string `json:"refresh_token"`
	Time    int64   `json:"auth_time"`
}

// Keys of the platforms and suites of these tests.
const (
	testKeyA = "tokendSelfMadeKey0000000000000000000000001Z" // with unused bits set
	testKeyB = "ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0"
)

// caller calls a WeChat without a socket.
type caller struct {
	t *testing.T
	*WeChat
}

// newCaller returns a WeChat with the accounts of these tests.
func newCaller(t *testing.T, s Settings) caller {
	w := New(s)
	w.AddAccount("wx01", "secret-1")
	w.AddAccount("wx02", "secret-2")
	w.AddApp("ww01", "1000001", "app-secret-1")
	w.AddApp("ww01", "1000002", "app-secret-2")
	w.AddProvider("wwprovider", "provider-secret")
	w.AddPlatform("wxplatform", "platform-secret", "platformTok", testKeyA)
	w.AddPlatform("wxother", "other-secret", "otherTok", testKeyB)
	w.AddSuite("wwprovider", "wwsuite", "suite-secret", "suiteTok", testKeyB)
	w.AddSuite("wwprovider", "wwsuite2", "suite-secret-2", "suiteTok2", testKeyA)
	w.AddSuite("wwprovider", "dktemplate", "template-secret", "templateTok", testKeyB)
	return caller{t, w}
}

func (c caller) do(method, pathQuery, body string) said {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://wechat.test"+pathQuery, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.Client().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var s said
	if err := json.Unmarshal(b, &s); err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s, %q: %v", method, pathQuery, resp.Status, b, err)
	}
	s.raw = string(b)
	return s
}

func (c caller) get(pathQuery string) said { c.t.Helper(); return c.do("GET", pathQuery, "") }

func (c caller) token() said {
	c.t.Helper()
	return c.get(Token + "?grant_type=client_credential&appid=wx01&secret=secret-1")
}

func (c caller) stable(force bool) said {
	c.t.Helper()
	body, _ := json.Marshal(map[string]any{"grant_type": "client_credential", "appid": "wx01", "secret": "secret-1", "force_refresh": force})
	return c.do("POST", StableToken, string(body))
}

func (c caller) corpToken(app string) said {
	c.t.Helper()
	return c.get(CorpToken + "?corpid=ww01&corpsecret=" + app)
}

// alive fails unless the probe answers want for the token.
func (c caller) alive(token string, want int) {
	c.t.Helper()
	if got := c.get(Probe + "?access_token=" + token); got.ErrCode != want || got.IPList == nil {
		c.t.Errorf("probe: got errcode %d (%s), ip_list %v; want errcode %d", got.ErrCode, got.ErrMsg, got.IPList, want)
	}
	if got := c.Valid(token); got != (want == 0) {
		c.t.Errorf("Valid: got %v beside errcode %d", got, want)
	}
}

func (c caller) isCode(got said, want int) {
	c.t.Helper()
	if got.ErrCode != want {
		c.t.Errorf("got errcode %d %s, want %d", got.ErrCode, got.ErrMsg, want)
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, s Settings, f func(c caller)) {
	synctest.Test(t, func(t *testing.T) { f(newCaller(t, s)) })
}

func TestShortLives(t *testing.T) {
	bubble(t, Settings{Lifetime: 24 * time.Second}, func(c caller) {
		a := c.token()
		b := c.token()
		if a.ExpiresIn != 24 {
			t.Errorf("expires_in: got %d", a.ExpiresIn)
		}
		time.Sleep(time.Second) // the overlap
		c.alive(a.Access, 40001)
		c.alive(b.Access, 0)
		time.Sleep(23 * time.Second)
		c.alive(b.Access, 42001)
		s := c.stable(false)
		time.Sleep(22500 * time.Millisecond)
		if got := c.stable(false); got.Access != s.Access || got.ExpiresIn != 1 {
			t.Errorf("1.5 s before expiry: another token, or %d s left", got.ExpiresIn)
		}
	})
}

func TestLedgerBounded(t *testing.T) {
	bubble(t, Settings{Lifetime: time.Minute}, func(c caller) {
		first := c.stable(false).Access
		for range 100 {
			time.Sleep(time.Minute)
			c.stable(false)
		}
		if n := len(c.issued.byValue); n > 4 || n != len(c.issued.inOrder) {
			t.Errorf("remembers %d values in %d places", n, len(c.issued.inOrder))
		}
		c.alive(first, 40001)
	})
}

func TestSeed(t *testing.T) {
	seen := map[string]int{}
	for _, seed := range []uint64{1, 1, 2, 0, 0} { // 0 is different each time
		seen[newCaller(t, Settings{Seed: seed}).stable(false).Access]++
	}
	if len(seen) != 4 {
		t.Errorf("got %d different values, want 4", len(seen))
	}
}

func TestRegister(t *testing.T) {
	bubble(t, Settings{Register: true}, func(c caller) {
		c.isCode(c.get(Token+"?grant_type=client_credential&appid=wx99&secret=mine"), 0)
		c.isCode(c.get(Token+"?grant_type=client_credential&appid=wx99&secret=yours"), 40125)
		a, b := c.get(CorpToken+"?corpid=ww99&corpsecret=a"), c.get(CorpToken+"?corpid=ww99&corpsecret=b")
		if a.Access == "" || a.Access == b.Access {
			t.Error("two secrets of a corp are not two apps")
		}
		if n := c.CallsFor(CorpToken, "ww99/app2"); n != 0 {
			t.Errorf("the first call is counted for a nonexistent app: %d", n)
		}
		c.get(CorpToken + "?corpid=ww99&corpsecret=b")
		if n := c.CallsFor(CorpToken, "ww99/app2"); n != 1 {
			t.Errorf("calls of app2: got %d, want 1", n)
		}
		c.isCode(c.do("POST", ProviderToken, `{"corpid":"wwp","provider_secret":"p"}`), 0)
	})
}
