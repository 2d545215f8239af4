package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	mutantsFlag = flag.Bool("mutants", false, "simulate every mutant, until a schedule catches it")
	mutantFlag  = flag.String("mutant", "", "with -mutants: only those whose name contains this")
)

// edit replaces a text of a file, which has it exactly once. Files are relative to daemon.
type edit struct{ file, old, new string }

// mutant is the protocol with a fault: a part of it is removed or wrong.
type mutant struct {
	name  string
	edits []edit
}

// apply returns the files of m, by their absolute paths.
func (m mutant) apply(dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(dir, filepath.FromSlash(e.file))
		text, ok := files[path]
		if !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %s has the old text %d times, want once:\n%s", m.name, e.file, n, e.old)
		}
		files[path] = strings.Replace(text, e.old, e.new, 1)
	}
	return files, nil
}

// daemonDir is the directory that edits are relative to.
func daemonDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMutantsApply checks that every mutant still changes what it is about.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		if _, err := m.apply(daemonDir(t)); err != nil {
			t.Error(err)
		}
	}
}

// TestMutants runs the simulation with every mutant in place of the code, by random and by steered
// faults. Steered faults must catch each mutant, by a schedule that the code passes and that CI
// has time for. Random faults alone find some of the rules once in thousands of schedules; make
// simulate has both.
func TestMutants(t *testing.T) {
	if !*mutantsFlag {
		t.Skip("run with -mutants: it takes minutes")
	}
	sound := build(t, mutant{name: "the code"})
	for _, m := range mutants {
		if !strings.Contains(m.name, *mutantFlag) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			program := build(t, m)
			for style, most := range map[style]int{steered: 2000, random: 10000} {
				if *styleFlag == "" || *styleFlag == style.String() {
					t.Run(style.String(), func(t *testing.T) { hunt(t, program, sound, style, most) })
				}
			}
		})
	}
}

// build builds this package's tests with the mutant.
func build(t *testing.T, m mutant) (program string) {
	t.Helper()
	dir := t.TempDir()
	files, err := m.apply(daemonDir(t))
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range files {
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = changed
	}
	list, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "simulation.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s does not compile: %v\n%s", m.name, err, out)
	}
	return program
}

// caught is the line that a program of build prints.
var caught = regexp.MustCompile(`caught by schedule \d+, seed (\d+): (.*)`)

// hunt runs schedules until one breaks a promise that the sound program keeps.
func hunt(t *testing.T, program, sound string, s style, most int) {
	t.Helper()
	begun := time.Now()
	for first := 1; first <= most; {
		seed, why, err := simulate(t, program, s, first, most-first+1)
		switch {
		case err != nil:
			t.Errorf("%s: %v", s, err)
			return
		case seed == 0:
			first = most + 1
			continue
		}
		if failing, _, _ := simulate(t, sound, s, seed, 1); failing == 0 {
			t.Logf("%s: caught by schedule %d of at most %d, in %v: %s", s, seed, most, time.Since(begun).Round(time.Second), why)
			return
		}
		first = seed + 1
	}
	report := t.Errorf
	if s == random {
		report = t.Logf
	}
	report("%s: not caught by %d schedules in %v", s, most, time.Since(begun).Round(time.Second))
}

// simulate runs n schedules from a seed on with a program. It returns the seed of the first
// schedule to break a promise, and which promise; zero for none.
func simulate(t *testing.T, program string, s style, first, n int) (seed int, why string, err error) {
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestSimulate$", "-test.timeout=0", "-test.v",
		"-faults", s.String(), "-first", strconv.Itoa(first), "-schedules", strconv.Itoa(n), "-shrink=false")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return 0, "", nil
	}
	for _, found := range caught.FindAllSubmatch(out, -1) {
		if at, _ := strconv.Atoi(string(found[1])); seed == 0 || at < seed {
			seed, why = at, string(found[2])
		}
	}
	if seed == 0 {
		return 0, "", fmt.Errorf("%w\n%s", err, out[max(0, len(out)-4000):])
	}
	return seed, why, nil
}
