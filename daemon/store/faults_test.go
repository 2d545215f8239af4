package store

import (
	"flag"
	"os"
	"os/exec"
	"testing"
)

// faults selects the long tests, and all of them: a test that the host cannot run then fails
// instead of being skipped.
var faults = flag.Bool("faults", false, "run the long fault tests; fail those that cannot run")

// rounds returns the number of rounds: short by default, long with -faults.
func rounds(short, long int) int {
	if *faults {
		return long
	}
	return short
}

// lacking skips the test, or fails it with -faults.
func lacking(t *testing.T, what string) {
	t.Helper()
	if *faults {
		t.Fatalf("not available here: %s", what)
	}
	t.Skipf("not available here: %s", what)
}

// needTools requires these commands.
func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(t, tool)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "root")
	}
}
