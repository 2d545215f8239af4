package store

import (
	"flag"
	"os"
	"os/exec"
	"testing"
)

// faults asks for the long rounds, and for all of them: what a short run skips
// because the host lacks a tool or a right is then a failure.
var faults = flag.Bool("faults", false, "run the long rounds of faults; what cannot be run fails")

// rounds returns how often a fault is made: short in an ordinary run, long with -faults.
func rounds(short, long int) int {
	if *faults {
		return long
	}
	return short
}

// lacking skips the test, or fails it where nothing may be skipped.
func lacking(t *testing.T, what string) {
	t.Helper()
	if *faults {
		t.Fatalf("not to be had here: %s", what)
	}
	t.Skipf("not to be had here: %s", what)
}

// needTools makes sure that there are all of these commands.
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
