package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be tokend itself: a copy of it named tokend lies in $PATH
// while the tests run.
func TestMain(m *testing.M) {
	// A process under the race detector sleeps a second before it exits; of those that are
	// started here there are a hundred.
	_ = os.Setenv("GORACE", race)
	// The parallel tests mostly wait for disks, pauses and processes, not for a processor.
	_ = flag.Set("test.parallel", "8")
	testscript.Main(m, map[string]func(){
		"tokend":   main,
		"hardened": hardened,
		"stranger": stranger,
		"ticking":  ticking,
	})
}

const race = "atexit_sleep_ms=0"

// hardened says what harden has achieved, in a process that nobody needs afterwards.
func hardened() {
	if err := harden(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(protection())
}
