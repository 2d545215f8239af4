package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
)

// TestSpecsByOwner holds that a catalog yields the specs of one owner one after the other, wherever
// the file has its accounts, and the same that it looks up.
func TestSpecsByOwner(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"ww1/2", "ww2/1", "ww1/1", "ww2/2"} {
		corp, agent, _ := strings.Cut(app, "/")
		file.Work = append(file.Work, config.WorkApp{CorpID: corp, AgentID: agent})
	}
	c := New(file, &Upstream{})
	var owners, specs []string
	for s := range c.Specs() {
		if n := len(owners); n == 0 || owners[n-1] != s.Owner {
			if slices.Contains(owners, s.Owner) {
				t.Errorf("%s: its owner has been there before", s.Name)
			}
			owners = append(owners, s.Owner)
		}
		if found, err := c.Lookup(s.Name); err != nil || found.Name != s.Name || found.Account != s.Account {
			t.Errorf("%s: looked up %+v, %v", s.Name, found, err)
		}
		specs = append(specs, s.Name)
	}
	if names := slices.Collect(c.Names()); !slices.Equal(names, specs) || len(names) < 12 {
		t.Errorf("names %q, specs %q", names, specs)
	}
}

// TestTimeoutIsTheConfigured holds that no call ends before the longest upstream.timeout that a
// configuration can have.
func TestTimeoutIsTheConfigured(t *testing.T) {
	longest := time.Duration(0)
	for d := time.Second; ; d += time.Second {
		file, err := config.Parse("t.toml", fmt.Appendf(nil, "[upstream]\ntimeout = %q\n", d), config.OSEnv())
		if err != nil {
			break
		}
		longest = file.Upstream.Timeout
	}
	if longest < time.Minute || longest >= CallLimit {
		t.Errorf("a configuration can have %v, and the engine ends a call after %v", longest, CallLimit)
	}
}
