package catalog

import (
	"testing"

	"tokend/daemon/alias"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
)

// TestShapes checks that package alias takes every name of a credential for one.
func TestShapes(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(everyFamily+catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	c, n := New(file, &Upstream{}, nil), 0
	for name := range c.Names() {
		if !alias.IsName([]byte(name)) {
			t.Errorf("%s is no name", name)
		}
		n++
	}
	for path := range c.platforms {
		for _, word := range []string{"access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket", "agent_config_ticket", "refresh_token", "permanent_code", "pre_auth_code"} {
			name := path + "/customer/" + word
			if _, err := c.Lookup(name); (err == nil) != alias.IsName([]byte(name)) {
				t.Errorf("%s: looked up with %v", name, err)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d names", n)
	}
}
