package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const example = "../../systemd/tokend.toml"

// TestExample checks that the shipped file is valid, both unchanged and with all its settings
// uncommented.
func TestExample(t *testing.T) {
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	env := newTestEnv(t)
	if _, err := Parse("tokend.toml", b, env); err != nil {
		t.Fatalf("as shipped:\n%v", err)
	}

	// Settings that are commented out begin with "#" and no space.
	text := regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(string(b), "$1")
	c, err := Parse("tokend.toml", []byte(text), env)
	if err != nil {
		t.Fatalf("all switched on:\n%v", err)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("all switched on: %v", c.Warnings)
	}
	if len(c.OfficialAccounts) == 0 || len(c.MiniPrograms) == 0 || len(c.Work) == 0 || len(c.OpenWork) == 0 || len(c.Access) == 0 || c.EncryptionKey == "" || c.HTTP == nil || c.Pages == nil ||
		len(c.OpenPlatforms) == 0 || len(c.OpenPlatforms[0].Authorizers) == 0 || len(c.OpenWork[0].Suites) == 0 || len(c.OpenWork[0].Suites[0].Corps) == 0 {
		t.Errorf("all switched on: something is missing: %+v", c)
	}
	for _, key := range []string{"socket", "socket_mode", "state_dir", "encryption_key", "log_level", "log_format", "weixin_url",
		"work_url", "timeout", "use_stable_access_token", "users", "groups", "names", "verbs",
		"listen", "token", "aes_key", "previous_token", "previous_aes_key", "refresh_token", "suite_secret", "permanent_code"} {
		if !strings.Contains(text, "\n"+key) {
			t.Errorf("%s is not shown", key)
		}
	}
}

// TestExampleChinese checks that the example with Chinese comments has the same settings.
func TestExampleChinese(t *testing.T) {
	settings := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all := regexp.MustCompile(`(?m)^#\S.*$`).FindAllString(string(b), -1)
		return regexp.MustCompile(` +# .*`).ReplaceAllString(strings.Join(all, "\n"), "")
	}
	got, want := settings(strings.Replace(example, ".toml", ".zh-CN.toml", 1)), settings(example)
	if diff := cmp.Diff(want, got); diff != "" || strings.Count(want, "\n") < 50 {
		t.Errorf("the settings differ (-English +Chinese):\n%s", diff)
	}
}
