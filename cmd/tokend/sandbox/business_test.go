package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokend/fetchers/wechattest"
)

// fetch returns the value that WeChat gives to an account's call.
func fetch(t *testing.T, s *Sandbox, path, key string) string {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal([]byte(call(t, s.URL+path)), &answer); err != nil {
		t.Fatal(err)
	}
	value, _ := answer[key].(string)
	if value == "" {
		t.Fatalf("%s: no %s in the answer", path, key)
	}
	return value
}

// errcode returns the errcode that echo answers.
func errcode(t *testing.T, s *Sandbox, query string) int {
	t.Helper()
	var answer struct {
		ErrCode *int `json:"errcode"`
	}
	if err := json.Unmarshal([]byte(call(t, s.URL+controls+"echo?"+query)), &answer); err != nil || answer.ErrCode == nil {
		t.Fatalf("no errcode: %v", err)
	}
	return *answer.ErrCode
}

const (
	rotatingToken = wechattest.Token + "?grant_type=client_credential&appid=wxsandboxrotating&secret=sandbox-secret-of-the-rotating-account"
	corpToken     = wechattest.CorpToken + "?corpid=wwsandboxcorp&corpsecret=sandbox-secret-of-app-1000002"
)

func TestKill(t *testing.T) {
	s, _ := start(t, Config{Out: io.Discard})
	kill := func(query string) (int, string) { return post(t, s.URL+controls+"kill?"+query) }

	token := fetch(t, s, rotatingToken, "access_token")
	if n := errcode(t, s, "access_token="+token); n != 0 {
		t.Fatalf("before kill: errcode %d", n)
	}
	for _, code := range []int{0, 40001, 40014, 42001, 42009, 40082} {
		token := fetch(t, s, rotatingToken, "access_token")
		query, want := "name=official_account/wxsandboxrotating/access_token", 40001
		if code != 0 {
			query, want = fmt.Sprintf("%s&errcode=%d", query, code), code
		}
		if status, body := kill(query); status != http.StatusOK {
			t.Fatalf("kill?%s: %d %s", query, status, body)
		}
		if got := errcode(t, s, "access_token="+token); got != want {
			t.Errorf("kill?%s: errcode %d, want %d", query, got, want)
		}
	}
	fresh := fetch(t, s, rotatingToken, "access_token")
	if n := errcode(t, s, "access_token="+fresh); n != 0 {
		t.Errorf("a token fetched after the kill: errcode %d", n)
	}

	work := fetch(t, s, corpToken, "access_token")
	if status, body := kill("name=work/wwsandboxcorp/1000002/access_token"); status != http.StatusOK {
		t.Fatalf("work: %d %s", status, body)
	}
	if n := errcode(t, s, "access_token="+work); n != 40014 {
		t.Errorf("work: errcode %d, want 40014", n)
	}
}

func TestKillRefused(t *testing.T) {
	s, _ := start(t, Config{Out: io.Discard})
	const name = "official_account/wxsandboxofficial/access_token"
	for _, c := range []struct {
		query  string
		status int
		want   string // in the body
	}{
		{"", 400, "official_account/wxsandboxofficial/access_token"},
		{"name=a b", 400, "credential's name"},
		{"name=official_account/wxnobody/access_token", 404, "work/wwsandboxcorp/1000002"},
		{"name=work/wxsandboxofficial/access_token", 404, "open_platform/wxsandboxplatform"},
		{"name=official_account/wxsandboxofficial/secret", 404, "unknown name"},
		{"name=open_platform/wxsandboxplatform/wxnobody/access_token", 404, "unknown name"},
		{"name=" + name + "&errcode=40013", 400, "40001, 40014, 42001, 42009, 40082"},
		{"name=" + name + "&errcode=x", 400, "40001"},
		{"name=" + name, 409, "get it from tokend first"},
	} {
		if status, body := post(t, s.URL+controls+"kill?"+strings.ReplaceAll(c.query, " ", "%20")); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("kill?%s: %d %q, want %d and %q", c.query, status, body, c.status, c.want)
		}
	}
	for path, method := range map[string]string{"kill": "GET", "echo": "PUT", "calls": "POST", "authorize": "GET"} {
		req, err := http.NewRequest(method, s.URL+controls+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || !strings.HasPrefix(string(body), "use ") || resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: %d %q", method, path, resp.StatusCode, body)
		}
	}
}

func TestEcho(t *testing.T) {
	s, _ := start(t, Config{Out: io.Discard})
	token := fetch(t, s, rotatingToken, "access_token")
	const body = "a file\x00 with any bytes"
	resp, err := http.Post(s.URL+controls+"echo?b=2&access_token="+token+"&a=%20x", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got echoed
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	want := echoed{ErrMsg: "ok", Method: "POST", Query: "b=2&a=%20x", Length: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
	if got != want {
		t.Errorf("echo: got %+v, want %+v", got, want)
	}

	for query, want := range map[string]int{
		"":                                  41001,
		"access_token=nonsense":             40014,
		"access_token=74_nonsense":          40001,
		"component_access_token=nonsense":   40001,
		"suite_access_token=nonsense":       40082,
		"provider_access_token=nonsense":    40082,
		"component_access_token=" + token:   40001,
		"access_token=" + token + "&bytes=": 0,
	} {
		if got := errcode(t, s, query); got != want {
			t.Errorf("echo?%s: errcode %d, want %d", query, got, want)
		}
	}
}

func TestEchoBytes(t *testing.T) {
	s, _ := start(t, Config{Out: io.Discard})
	base := s.URL + controls + "echo?access_token=" + fetch(t, s, rotatingToken, "access_token")
	if got := call(t, base+"&bytes=100000"); len(got) != 100000 || strings.Trim(got, "\x00") != "" {
		t.Errorf("bytes=100000: %d bytes", len(got))
	}
	if got := call(t, base+"&bytes=0"); got != "" {
		t.Errorf("bytes=0: %d bytes", len(got))
	}
	begin := time.Now()
	resp, err := http.Get(base + "&bytes=1000&slow=1")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the handler notices
	if got := call(t, base+"&bytes=1000&slow=1"); len(got) != 1000 {
		t.Errorf("slow: %d bytes", len(got))
	}
	if took := time.Since(begin); took < slowPieces*slowPause {
		t.Errorf("slow: %v, want at least %v", took, slowPieces*slowPause)
	}
	for _, query := range []string{"&bytes=-1", "&bytes=x", "&bytes=9999999999", "&slow=maybe"} {
		resp, err := http.Get(base + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("echo?%s: %s", query, resp.Status)
		}
	}
}

func TestCallsCounted(t *testing.T) {
	s, _ := start(t, Config{Out: io.Discard})
	token := fetch(t, s, rotatingToken, "access_token")
	fetch(t, s, corpToken, "access_token")
	errcode(t, s, "access_token="+token)
	const want = "total 2\n/cgi-bin/gettoken wwsandboxcorp/1000002 1\n/cgi-bin/token wxsandboxrotating 1\n"
	if got := call(t, s.URL+controls+"calls"); got != want {
		t.Errorf("calls: got %q, want %q", got, want)
	}
}
