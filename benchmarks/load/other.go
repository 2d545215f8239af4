//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "load: it wants Linux: processors to pin to, and what /proc tells of a process")
	os.Exit(1)
}
