package main

import "flag"

// faults makes the tests that break things at random run for minutes instead of a second:
//
//	go test ./cmd/tokend -run Kill -faults
var faults = flag.Bool("faults", false, "break things at random for minutes")
