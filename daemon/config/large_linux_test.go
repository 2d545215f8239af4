package config

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoadLinear checks that the cost per account does not depend on the number of accounts. It
// reads no secrets.
func TestLoadLinear(t *testing.T) {
	env := OSEnv()
	env.Open = func(string) (fs.File, error) { return nil, errors.New("no secrets here") }
	t.Run("allocations", func(t *testing.T) {
		perAccount := func(n int) float64 {
			data := largeTOML(n, "/secret")
			return testing.AllocsPerRun(1, func() { _, _ = Parse("tokend.toml", data, env) }) / float64(n)
		}
		if few, many := perAccount(200), perAccount(4000); many > 1.5*few {
			t.Errorf("got %.1f for each of 200 accounts and %.1f for each of 4000", few, many)
		}
	})
	// For 20 times as many accounts, linear work takes 20 times as long, quadratic work 400 times.
	// The bound is in between.
	for name, work := range map[string]func(n int) func(){
		"doubts": func(n int) func() {
			c := new(Config)
			for i := range n {
				c.OfficialAccounts = append(c.OfficialAccounts, App{AppID: fmt.Sprintf("wx%016x", i)})
				c.MiniPrograms = append(c.MiniPrograms, App{AppID: fmt.Sprintf("wx%015xm", i)})
			}
			return func() { (&reader{pace: new(pace)}).doubts(c) }
		},
		"hosts": func(n int) func() {
			data := []byte("weixin_url = [")
			for i := range n {
				data = fmt.Appendf(data, "\"https://h%08x\", ", i)
			}
			root, _ := parse(append(data, ']'), new(pace))
			t := &table{reader: new(reader), node: root}
			return func() { t.urls("weixin_url", "") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			few, many := least(work(500)), least(work(10_000))
			if many > 100*few {
				t.Errorf("processor time: %v for 500, %v for 10000", few, many)
			}
		})
	}
}

// least returns the shortest processor time of a few calls of f. Unlike wall clock time, processor
// time does not depend on other load.
func least(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	shortest := time.Hour
	for range 5 {
		began := threadTime()
		f()
		shortest = min(shortest, threadTime()-began)
	}
	return shortest
}

// threadTime returns the processor time that this thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// inlineTOML returns a configuration of n official accounts with their secrets.
func inlineTOML(n int) (data []byte) {
	for i := range n {
		data = fmt.Appendf(data, "[[official_account]]\napp_id = \"wx%016x\"\nsecret = \"%032x\"\n\n", i, i)
	}
	return data
}

// TestPauses checks that there is a pause after every few lines and tables of a configuration, and
// after each file of a secret.
func TestPauses(t *testing.T) {
	env := OSEnv()
	t.Run("values", func(t *testing.T) {
		const accounts, steps = 1000, 4 // an account has three lines, and is a table
		pauses := 0
		env.Pause = func() { pauses++ }
		if _, err := Parse("tokend.toml", inlineTOML(accounts), env); err != nil {
			t.Fatal(err)
		}
		if pauses < steps*accounts/stepsPerPause {
			t.Errorf("%d pauses for %d accounts", pauses, accounts)
		}
	})
	t.Run("files", func(t *testing.T) {
		opened := 0
		env.Open = func(string) (fs.File, error) {
			if opened++; opened > 1 {
				t.Fatal("two files without a pause")
			}
			return nil, errors.New("no secrets here")
		}
		env.Pause = func() { opened = 0 }
		_, _ = Parse("tokend.toml", largeTOML(100, "/secret"), env)
	})
}

// TestAccountCheap checks that an account takes few allocations besides its strings. A reload may
// read tens of thousands, and the garbage collector delays readers.
func TestAccountCheap(t *testing.T) {
	const accounts = 2000
	data, env := inlineTOML(accounts), OSEnv()
	each := testing.AllocsPerRun(1, func() { _, _ = Parse("tokend.toml", data, env) }) / accounts
	if each > 4 {
		t.Errorf("%.1f allocations for each account", each)
	}
}
