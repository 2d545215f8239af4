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
			return func() { new(reader).doubts(c) }
		},
		"hosts": func(n int) func() {
			var all []any
			for i := range n {
				all = append(all, fmt.Sprintf("https://h%08x", i))
			}
			t := &table{reader: new(reader), values: map[string]any{"weixin_url": all}}
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
