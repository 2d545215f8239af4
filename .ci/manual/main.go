// Command manual prints the code blocks of the manual in one language as JSON, for runners that are
// not written in Go: manual LANGUAGE.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"tokend/clientlib/manual"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manual LANGUAGE")
		os.Exit(2)
	}
	blocks, err := manual.Blocks(os.DirFS("docs"), os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(blocks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}
