// Package run runs the Go code of the manual. Each block is a function in a program of all blocks.
package run

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
)

// Names of the sandbox's credentials.
const (
	Official = "official_account/wxsandboxofficial/access_token"
	Work     = "work/wwsandboxcorp/1000002/access_token"
	Mini     = "mini_program/wxsandboxmini/access_token"
)

var used bool

// Main runs the block that the argument names. A block that nothing uses is a failure.
func Main(blocks map[string]func() error) {
	if err := main(blocks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main(blocks map[string]func() error) error {
	if len(os.Args) != 2 || blocks[os.Args[1]] == nil {
		return fmt.Errorf("no such block: %q", os.Args)
	}
	if err := blocks[os.Args[1]](); err != nil {
		return err
	}
	if !used {
		return fmt.Errorf("the surroundings of the page use nothing of the block")
	}
	return nil
}

// Tokend returns whether the block uses tokend, and its token is to be killed.
func Tokend() bool { return os.Getenv("KILL") != "" }

// Use calls an API of WeChat with what a block declares. If tokend is used, it then kills the token
// of that name, if any, and calls again: the caller must not notice.
func Use(name string, call func() error) error {
	used = true
	if err := call(); err != nil {
		return fmt.Errorf("with a valid token: %w", err)
	}
	if name == "" || !Tokend() {
		return nil
	}
	resp, err := http.PostForm(os.Getenv("SANDBOX")+"/sandbox/kill", url.Values{"name": {name}})
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("kill %s: %s, %v", name, resp.Status, err)
	}
	if err := call(); err != nil {
		return fmt.Errorf("with a killed token: %w", err)
	}
	return nil
}
