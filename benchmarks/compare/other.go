//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: needs Linux, to bind processes to processors and to read /proc")
	os.Exit(1)
}
