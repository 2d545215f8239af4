package main

import "flag"

// faults has the tests that break things at random do so for minutes, and not for a second:
//
//	go test ./cmd/tokend -run Kill -faults
var faults = flag.Bool("faults", false, "break things at random for minutes")
