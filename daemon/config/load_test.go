package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	write := func(t *testing.T, text string, mode fs.FileMode) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "tokend.toml")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const account = "[[official_account]]\napp_id = \"wx1\"\nsecret = \"canary\"\n"

	t.Run("defaults", func(t *testing.T) {
		c, err := Load(write(t, account, 0o600), OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if c.Socket != "/run/tokend/tokend.sock" || c.SocketMode != 0o660 || c.StateDir != "/var/lib/tokend" ||
			c.EncryptionKey != "" || c.LogLevel != "info" || c.LogFormat != "text" || c.HTTP != nil || c.Pages != nil ||
			!c.Upstream.Equal(Upstream{[]string{"https://api.weixin.qq.com"}, "https://qyapi.weixin.qq.com", 5 * time.Second}) ||
			!c.OfficialAccounts[0].UseStableAccessToken || len(c.Access) != 0 || len(c.Warnings) != 0 {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("secrets in a file that everyone can read", func(t *testing.T) {
		path := write(t, account, 0o600)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 0 {
			t.Errorf("in a private directory: got %v", c.Warnings)
		}
		if err := errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755)); err != nil {
			t.Fatal(err)
		}
		if c, err = Load(path, OSEnv()); err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), "chmod 600 "+path) {
			t.Errorf("warnings: got %v", c.Warnings)
		}
	})
	t.Run("users and groups of this system", func(t *testing.T) {
		c, err := Load(write(t, account+"[[access]]\nusers = [\"root\"]\ngroups = [\"root\"]\nnames = [\"*\"]\nverbs = [\"GET\"]\n", 0o600), OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if a := c.Access[0]; len(a.UIDs) != 1 || a.UIDs[0] != 0 || len(a.GIDs) != 1 || a.GIDs[0] != 0 {
			t.Errorf("got %+v, want root's ids", a)
		}
	})
	t.Run("an unknown user of this system", func(t *testing.T) {
		_, err := Load(write(t, account+"[[access]]\nusers = [\"tokend-nobody\"]\nnames = [\"*\"]\nverbs = [\"GET\"]\n", 0o600), OSEnv())
		if err == nil || !strings.Contains(err.Error(), `unknown user "tokend-nobody"`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no such file", func(t *testing.T) {
		_, err := Load("/nonexistent/tokend.toml", OSEnv())
		if !errors.Is(err, fs.ErrNotExist) || err.Error() != "configuration: open /nonexistent/tokend.toml: no such file or directory" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Load(dir, OSEnv()); err == nil || err.Error() != "configuration: "+dir+" is a directory" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("problems one by one", func(t *testing.T) {
		path := write(t, "a = 1\nb = 2\n", 0o600)
		_, err := Load(path, OSEnv())
		ps, ok := errors.AsType[Problems](err)
		if !ok || len(ps) != 2 || ps[0].Line != 1 || ps[1].Line != 2 || ps[1].File != path {
			t.Fatalf("got %#v", err)
		}
		if p, ok := errors.AsType[Problem](err); !ok || p != ps[0] {
			t.Errorf("unwrapped: got %v, want %v", p, ps[0])
		}
	})
}

// TestSettings checks that a digest depends on exactly the settings that a fetch depends on, and is
// the same in another process.
func TestSettings(t *testing.T) {
	base := App{Family: "official_account", AppID: "wx1", Secret: "s", UseStableAccessToken: true, Line: 1, upstream: "https://u"}
	if got, want := base.Settings(), "5f1ae8988318114b"; got != want {
		t.Errorf("digest: got %s, want %s: holds in existing stores would be lost", got, want)
	}
	moved := base
	moved.Line = 7
	if base.Settings() != moved.Settings() {
		t.Error("the digest depends on the line")
	}
	digests := map[string]string{base.Settings(): "the base"}
	differs := func(what, d string) {
		t.Helper()
		if same, ok := digests[d]; ok {
			t.Errorf("%s has the digest of %s", what, same)
		}
		digests[d] = what
	}
	for what, change := range map[string]func(*App){
		"another family":   func(a *App) { a.Family = "mini_program" },
		"another appid":    func(a *App) { a.AppID = "wx2" },
		"another secret":   func(a *App) { a.Secret = "t" },
		"another endpoint": func(a *App) { a.UseStableAccessToken = false },
		"another host":     func(a *App) { a.upstream = "https://v" },
		"shifted fields":   func(a *App) { a.AppID, a.Secret = "wx1s", "" },
	} {
		a := base
		change(&a)
		differs(what, a.Settings())
	}
	differs("a work app", WorkApp{CorpID: "wx1", AgentID: "s"}.Settings())
	differs("another work app", WorkApp{CorpID: "wx1", AgentID: "t"}.Settings())
	differs("a provider", OpenWork{CorpID: "wx1", ProviderSecret: "s"}.Settings())
	differs("a platform", OpenPlatform{AppID: "wx1", Secret: "s"}.Settings())
	differs("a suite", Suite{SuiteID: "wx1", SuiteSecret: "s"}.Settings())
}

func TestDidYouMean(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"app_id", "appid", 1}, {"scoket", "socket", 2},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q): got %d, want %d", test.a, test.b, got, test.want)
		}
	}
	if got := didYouMean("xylophone", []string{"socket", "state_dir"}); got != "" {
		t.Errorf("no similar word: got %q, want nothing", got)
	}
}

// TestAESKeyTrimmed checks that blanks around an aes_key are removed. They are often copied from
// WeChat's console.
func TestAESKeyTrimmed(t *testing.T) {
	const key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	c, err := Parse("tokend.toml", []byte("[[open_platform]]\napp_id = 'wx1'\nsecret = 's'\ntoken = 't'\naes_key = \" "+key+"\\t\"\n"), newTestEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.OpenPlatforms[0].AESKey; got != key {
		t.Errorf("got %d characters, want %d", len(got), len(key))
	}
}

// TestSameHost checks which URLs of a list count as the same host.
func TestSameHost(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"https://api.weixin.qq.com", "https://API.weixin.qq.com:443/", true},
		{"http://127.0.0.1", "http://127.0.0.1:80", true},
		{"http://127.0.0.1", "http://127.0.0.1:443", false},
		{"https://127.0.0.1", "https://127.0.0.1:80", false},
		{"https://api.weixin.qq.com", "https://api2.weixin.qq.com", false},
		{"https://proxy.example/a", "https://proxy.example/b", false},
	} {
		data := "upstream = { weixin_url = [\"" + test.a + "\", \"" + test.b + "\"] }\n"
		_, err := Parse("tokend.toml", []byte(data), newTestEnv(t))
		if same := err != nil && strings.Contains(err.Error(), "is listed twice"); same != test.same {
			t.Errorf("%s, %s: %v", test.a, test.b, err)
		}
	}
}

// TestUpstreamEqual checks that every setting and the order of the hosts are compared.
func TestUpstreamEqual(t *testing.T) {
	of := func() Upstream { return Upstream{[]string{"https://a", "https://b"}, "https://c", time.Second} }
	for name, change := range map[string]func(*Upstream){
		"order":    func(u *Upstream) { slices.Reverse(u.WeixinURLs) },
		"hosts":    func(u *Upstream) { u.WeixinURLs = u.WeixinURLs[:1] },
		"work_url": func(u *Upstream) { u.WorkURL = "https://d" },
		"timeout":  func(u *Upstream) { u.Timeout++ },
	} {
		u := of()
		change(&u)
		if u.Equal(of()) || !of().Equal(of()) {
			t.Errorf("%s: not compared", name)
		}
	}
}
