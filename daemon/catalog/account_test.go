package catalog

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
)

// manyAccounts returns a configuration with n official accounts.
func manyAccounts(n int) *config.Config {
	file := &config.Config{}
	for i := range n {
		file.OfficialAccounts = append(file.OfficialAccounts, config.App{
			Family: "official_account", AppID: fmt.Sprintf("wx%016x", i), Secret: "s", UseStableAccessToken: true,
		})
	}
	return file
}

// TestAccountMemory checks the memory of a configured account, which has four credentials.
func TestAccountMemory(t *testing.T) {
	const n, most = 1000, 600
	file := manyAccounts(n)
	up := &Upstream{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := New(file, up, nil)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; got > most {
		t.Errorf("got %d bytes, want at most %d", got, most)
	}
	runtime.KeepAlive(file)
	runtime.KeepAlive(c)
}

// TestSteps checks that each account and each grant is a step of its own.
func TestSteps(t *testing.T) {
	const n = 100
	steps := 0
	step := func() { steps++ }
	New(manyAccounts(n), &Upstream{}, step)
	if steps != n {
		t.Errorf("%d steps for %d accounts", steps, n)
	}
	steps = 0
	Seeds(&config.Config{OpenPlatforms: []config.OpenPlatform{{Authorizers: make([]config.Authorizer, n)}}}, step)
	if steps != n {
		t.Errorf("%d steps for %d grants", steps, n)
	}
}

// TestLookupAllocs checks that Lookup of an account's name allocates nothing: a flight looks up its
// name several times.
func TestLookupAllocs(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(everyFamily+catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	c := New(file, &Upstream{}, nil)
	for _, name := range slices.Collect(c.Names()) {
		if got := testing.AllocsPerRun(10, func() { _, _ = c.Lookup(name) }); got != 0 {
			t.Errorf("%s: got %v allocations", name, got)
		}
	}
}

// TestLookupAsSpecs checks that Lookup returns the fields that Specs yields, and that it finds
// nothing under a part of a name.
func TestLookupAsSpecs(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(everyFamily+catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	c := New(file, &Upstream{}, nil)
	for s := range c.Specs() {
		got, err := c.Lookup(s.Name)
		want := *s
		if got.Nudge, want.Nudge = nil, nil; err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%s: looked up %#v, %v, want %#v", s.Name, got, err, want)
		}
		for _, wrong := range []string{"/" + s.Name, s.Name + "/", s.Name + "x", s.Name[:len(s.Name)-1], s.Name[:strings.LastIndexByte(s.Name, '/')]} {
			if _, err := c.Lookup(wrong); err == nil {
				t.Errorf("%s: found", wrong)
			}
		}
	}
	if _, err := c.Lookup(""); err == nil {
		t.Error("an empty name: found")
	}
}
