package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedFlag  = flag.String("seed", "", "simulate the schedules of this seed only, and print their timelines")
	schedules = flag.Int("schedules", 0, "how many schedules are simulated; zero: a few")
	lasting   = flag.Duration("lasting", 0, "simulate for so long, but at least -schedules")
	firstSeed = flag.Uint64("first", 0, "the seed of the first schedule; zero: any")
	shrinks   = flag.Bool("shrink", true, "shrink a schedule that breaks a promise")
	again     = flag.Bool("again", false, "log a schedule that breaks a promise only in one of two runs")
	styleFlag = flag.String("faults", "", "random or steered; empty: both")
)

// fewSchedules is how many schedules plain go test simulates.
const fewSchedules = 24

// TestMain rejects a bad seed in one line.
func TestMain(m *testing.M) {
	flag.Parse()
	if _, err := seedOf(*seedFlag); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !strings.Contains(" random steered ", " "+*styleFlag+" ") && *styleFlag != "" {
		fmt.Fprintf(os.Stderr, "-faults %s: random or steered\n", *styleFlag)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// seedOf returns the seed that a flag states, zero if the flag is empty.
func seedOf(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("-seed %q is not a number", text)
	}
	return seed, nil
}

// TestSeed passes what is no seed.
func TestSeed(t *testing.T) {
	for _, text := range []string{"abc", "-1", "1.5", "1 2", "18446744073709551616", "1\n2"} {
		if _, err := seedOf(text); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want one line", text, err)
		}
	}
	for _, text := range []string{"", "0", "7"} {
		if seed, err := seedOf(text); err != nil || seed > 7 {
			t.Errorf("%q: got %d, %v", text, seed, err)
		}
	}
}

// planOf returns the schedule of a seed: even ones have steered faults, unless -faults says
// otherwise.
func planOf(seed uint64) *plan {
	s := style(1 - seed%2)
	if *styleFlag != "" {
		s = random
		if *styleFlag == steered.String() {
			s = steered
		}
	}
	return newPlan(seed, s)
}

// TestSimulate simulates schedules, and shrinks the first that breaks a promise.
func TestSimulate(t *testing.T) {
	if *seedFlag != "" {
		seed, _ := seedOf(*seedFlag) // see TestMain
		p := planOf(seed)
		p.verbose = testing.Verbose()
		for range 5 { // goroutines of one instant may run in another order
			o := perform(t, p)
			if t.Logf("%s\n%s", p, o.timeline); len(o.wrong) > 0 {
				fail(t, p, o)
				return
			}
		}
		return
	}
	least, first := *schedules, rand.Uint64N(1<<40)
	if least == 0 && *lasting == 0 {
		least, first = fewSchedules, 1
	}
	if *firstSeed != 0 {
		first = *firstSeed
	}
	begun := time.Now()
	var next atomic.Uint64
	var failed atomic.Bool
	total := make([]tally, runtime.GOMAXPROCS(0))
	t.Run("schedules", func(t *testing.T) {
		for i := range total {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for !failed.Load() {
					n := next.Add(1) - 1
					if n >= uint64(least) && time.Since(begun) >= *lasting {
						return
					}
					p := planOf(first + n)
					o := perform(t, p)
					total[i].add(o.counts)
					if len(o.wrong) > 0 && *again && len(perform(t, planOf(p.seed)).wrong) == 0 {
						t.Logf("seed %d breaks a promise in one of two runs: %s", p.seed, o.wrong[0])
						continue
					}
					if len(o.wrong) > 0 {
						failed.Store(true)
						if fail(t, p, o); !*shrinks {
							t.Logf("caught by schedule %d, seed %d: %s", n+1, p.seed, o.wrong[0])
						}
					}
				}
			})
		}
	})
	var all tally
	for i := range total {
		all.add(total[i])
	}
	t.Logf("seeds %d to %d in %v: %v", first, first+uint64(all.schedules)-1, time.Since(begun).Round(time.Second), &all)
}

// outcome is what came of a schedule.
type outcome struct {
	wrong    []string
	timeline string
	counts   tally
}

// perform simulates a schedule.
func perform(t *testing.T, p *plan) (o outcome) {
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("%s: %v", p, r))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(p)
		w.play()
		w.mu.Lock()
		o.wrong, o.counts = w.wrong, w.counts
		w.mu.Unlock()
		o.counts.schedules, o.counts.lived = 1, time.Since(w.began)
		if len(o.wrong) > 0 || *seedFlag != "" {
			o.timeline = w.timeline()
		}
	})
	return o
}

// fail shrinks a schedule that breaks a promise and reports it.
func fail(t *testing.T, p *plan, o outcome) {
	if *shrinks {
		p, o = shrink(t, p, o)
	}
	var events []string
	for i, x := range p.rounds {
		events = append(events, fmt.Sprintf("round %d, %v, host%d is healthy:", i+1, x.lasts, x.healthy))
		for _, e := range x.events {
			events = append(events, "  "+e.String())
		}
	}
	t.Errorf("%s\n\nevents that are left:\n%s\n\ntimeline:\n%s\nbroken:\n%s\n\nagain: go test ./daemon/cluster/simulation -run TestSimulate -seed %d -faults %s",
		p, strings.Join(events, "\n"), o.timeline, strings.Join(o.wrong, "\n"), p.seed, p.style)
}

// shrink returns the plan with as few events as it finds to break a promise, and what came of it.
// The order of goroutines within an instant is not the seed's, so an attempt counts as kept only if
// one of a few runs fails.
func shrink(t *testing.T, p *plan, o outcome) (*plan, outcome) {
	try := func(fewer *plan) bool {
		for range 3 {
			if again := perform(t, fewer); len(again.wrong) > 0 {
				p, o = fewer, again
				return true
			}
		}
		return false
	}
	for len(p.rounds) > 1 {
		fewer := *p
		if fewer.rounds = p.rounds[:len(p.rounds)-1]; !try(&fewer) {
			break
		}
	}
	for size := max(p.events()/2, 1); size > 0; size /= 2 {
		for i := 0; i < p.events(); {
			if !try(p.without(i, size)) {
				i += size
			}
		}
	}
	return p, o
}
