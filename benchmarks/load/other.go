//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "load: requires Linux, for processor affinity and /proc")
	os.Exit(1)
}
