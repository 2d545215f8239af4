package refresh

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "run the model with this seed only, and show what happens")
	modelRuns  = flag.Int("model.runs", 0, "how many runs of the model; zero for a short round")
	modelSteps = flag.Int("model.steps", 60, "steps of a run")
)

// TestModel does random things to an engine, in random weather, and holds it to the ten
// sentences of the design: see world for what is watched and play for what is done. A failing run
// is cut down to the steps that it takes. A run is repeated by its seed.
func TestModel(t *testing.T) {
	runs := *modelRuns
	if runs == 0 {
		runs = shortRound
	}
	first := uint64(1)
	if *modelSeed != 0 {
		first, runs = *modelSeed, 1
	} else if *modelRuns != 0 {
		first = rand.Uint64N(1 << 40)
	}
	var done tallyOf
	for seed := first; seed < first+uint64(runs); seed++ {
		steps := plan(seed, *modelSteps)
		out := perform(t, seed, steps)
		done.add(out)
		if *modelSeed != 0 {
			t.Log("\n" + strings.Join(out.trace, "\n"))
		}
		if len(out.wrong) == 0 {
			continue
		}
		steps, out = shrink2(t, seed, steps, out)
		t.Fatalf("seed %d (replay: go test -run TestModel -model.seed %d -model.steps %d):\n%s\n\nsteps:\n%s\n\nwhat happened:\n%s",
			seed, seed, *modelSteps, strings.Join(out.wrong, "\n"), join(steps), strings.Join(out.trace, "\n"))
	}
	t.Logf("%d runs of %d steps from seed %d: %s", runs, *modelSteps, first, &done)
}

// tallyOf sums up what happened in many runs.
type tallyOf struct {
	calls, faults, reads, lives, kills int
	lived                              time.Duration
}

func (s *tallyOf) add(o outcome) {
	s.calls += o.calls
	s.faults += o.faults
	s.reads += o.reads
	s.lives += o.lives
	s.kills += o.kills
	s.lived += o.lived
}

func (s *tallyOf) String() string {
	return fmt.Sprintf("%d calls of which %d failed, %d reads, %d starts, %d kills, %.0f days", s.calls, s.faults, s.reads, s.lives, s.kills, s.lived.Hours()/24)
}

// outcome is what came of a run.
type outcome struct {
	wrong, trace []string
	tallyOf
}

// perform plays steps in a world of seed.
func perform(t *testing.T, seed uint64, steps []step) (out outcome) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(seed)
		defer func() {
			if r := recover(); r != nil {
				m.w.violateNow("panic: %v\n%s", r, debug.Stack())
			}
			out = m.outcome()
		}()
		m.play(steps)
	})
	return out
}

// shrink2 returns as few of steps as it finds that still go wrong, and what comes of them.
func shrink2(t *testing.T, seed uint64, steps []step, out outcome) ([]step, outcome) {
	for size := len(steps) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(steps); {
			fewer := slices.Delete(slices.Clone(steps), i, i+size)
			if o := perform(t, seed, fewer); len(o.wrong) > 0 {
				steps, out = fewer, o
			} else {
				i += size
			}
		}
	}
	return steps, out
}

func join(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	return b.String()
}

// verb is something that is done to the engine or to its world.
type verb string

// verbs and how often each is played.
var verbs = []struct {
	verb
	weight int
}{
	{"get", 30}, {"get many", 3}, {"reject", 8}, {"reject old", 3}, {"refresh", 7}, {"probe", 8},
	{"push", 14}, {"push old", 2}, {"put", 4}, {"accept", 5}, {"exchange", 4}, {"revoke", 4}, {"import", 2},
	{"catalog", 5}, {"stop", 4}, {"kill", 6}, {"disk", 3}, {"disk slow", 2}, {"suspend", 2}, {"reboot", 2}, {"clock", 1}, {"weather", 6},
}

// step is one thing to be done, and how long to wait after it.
type step struct {
	verb
	name  string // the credential
	arg   int
	async bool // continues while later steps are played
	wait  time.Duration
}

func (s step) String() string {
	async := ""
	if s.async {
		async = " &"
	}
	return fmt.Sprintf("%s %s %d%s; wait %v", s.verb, s.name, s.arg, async, s.wait)
}

// plan returns the steps of a run.
func plan(seed uint64, n int) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	total := 0
	for _, v := range verbs {
		total += v.weight
	}
	steps := make([]step, n)
	for i := range steps {
		at := r.IntN(total)
		for _, v := range verbs {
			if at -= v.weight; at < 0 {
				steps[i].verb = v.verb
				break
			}
		}
		steps[i].name = modelNames[r.IntN(len(modelNames))]
		steps[i].arg = r.IntN(1 << 20)
		steps[i].async = r.IntN(3) == 0
		unit := []time.Duration{0, time.Millisecond, time.Second, time.Second, 10 * time.Second, time.Minute, time.Minute, 10 * time.Minute, time.Hour}[r.IntN(9)]
		steps[i].wait = time.Duration(r.IntN(5)) * unit / 2
	}
	return steps
}
