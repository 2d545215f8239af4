package clientlib

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOtherModule holds that a program in another module can use the client, in the way that
// docs/clients.md and the READMEs show, and without a module proxy.
func TestOtherModule(t *testing.T) {
	page, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^go mod edit (.*)-replace=tokend=\.\./tokend$`).FindStringSubmatch(string(page))
	if command == nil {
		t.Fatal("the page does not show how to use the module")
	}
	for _, readme := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile("../" + readme)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"`require tokend v0.0.0`", "`replace tokend => ../tokend`", "`token.Value.Reveal()`"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s does not show %s", readme, want)
			}
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	program := `package main

import (
	"context"
	"errors"
	"fmt"

	"tokend/clientlib"
)

func main() {
	tokens := &clientlib.Client{Socket: "/none/tokend.sock"}
	_, err := tokens.Get(context.Background(), "official_account/wx0123/access_token")
	fmt.Print(errors.Is(err, clientlib.ErrNoDaemon))
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run("mod", "init", "example.com/shop")
	run(append([]string{"mod", "edit"}, strings.Fields(command[1]+"-replace=tokend="+root)...)...)
	run("mod", "tidy")
	if got := run("run", "."); got != "true" {
		t.Errorf("got %s", got)
	}
}
