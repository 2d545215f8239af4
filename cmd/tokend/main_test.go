package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary usable as tokend: $PATH contains a copy of it named tokend while
// the tests run.
func TestMain(m *testing.M) {
	// A process with the race detector sleeps a second before it exits, and the tests start about a
	// hundred.
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

// hardened prints the result of harden, in a process of its own.
func hardened() {
	if err := harden(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(protection())
}
