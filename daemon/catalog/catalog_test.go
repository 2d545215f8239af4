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

// TestSpecsByOwner checks that the specs of one owner are adjacent, wherever the file has its
// accounts, and that Lookup returns the same specs.
func TestSpecsByOwner(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"ww1/2", "ww2/1", "ww1/1", "ww2/2"} {
		corp, agent, _ := strings.Cut(app, "/")
		file.Work = append(file.Work, config.WorkApp{CorpID: corp, AgentID: agent})
	}
	c := New(file, &Upstream{}, nil)
	var owners, specs []string
	for s := range c.Specs() {
		if n := len(owners); n == 0 || owners[n-1] != s.Owner {
			if slices.Contains(owners, s.Owner) {
				t.Errorf("%s: not adjacent to its owner's other specs", s.Name)
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

// TestCallLimit checks that the engine's limit exceeds the longest upstream.timeout that a
// configuration can have.
func TestCallLimit(t *testing.T) {
	longest := time.Duration(0)
	for d := time.Second; ; d += time.Second {
		file, err := config.Parse("t.toml", fmt.Appendf(nil, "[upstream]\ntimeout = %q\n", d), config.OSEnv())
		if err != nil {
			break
		}
		longest = file.Upstream.Timeout
	}
	if longest < time.Minute || longest >= CallLimit {
		t.Errorf("the longest timeout is %v, and the engine ends a call after %v", longest, CallLimit)
	}
}
