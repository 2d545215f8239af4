package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokend/clientlib/manual"
	"tokend/fetchers/wechattest"
)

// workApp is the account of the app whose token the static class of docs/programs.md keeps.
const workApp = "wwsandboxcorp/1000002"

// TestCSharpStaticClass runs the static class of docs/programs.md, before and after, in the
// situations of that page. ProgramsTest of the PHP client does this for the other programs.
func TestCSharpStaticClass(t *testing.T) {
	t.Parallel()
	t.Run("errcode", func(t *testing.T) {
		t.Parallel()
		before, after := newStaticClass(t)
		before.wechat.Inject(wechattest.Fault{Endpoint: wechattest.CorpToken, Code: 60020})
		five := func(c staticClass) (answers []string, fetches int) {
			fetches = -c.fetches()
			call := c.start(t)
			for range 5 {
				answers = append(answers, call())
			}
			return answers, fetches + c.fetches()
		}
		if got, fetches := five(before); !slices.Equal(got, slices.Repeat([]string{"41001"}, 5)) || fetches != 5 {
			t.Errorf("before: got %q and %d fetches, want 41001 and a fetch for each call", got, fetches)
		}
		got, fetches := five(after)
		for _, answer := range got {
			if !strings.Contains(answer, "60020") {
				t.Errorf("after: got %q, want WeChat's errcode", answer)
			}
		}
		if fetches != 1 {
			t.Errorf("after: got %d fetches, want 1", fetches)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		before, after := newStaticClass(t)
		for _, c := range []struct {
			staticClass
			first, second int // fetches: for the first calls, and after WeChat refused the token
			refused       []string
		}{
			{before, 3, 0, []string{"42001", "42001", "42001"}},
			{after, 1, 1, []string{"0", "0", "0"}},
		} {
			fetched := c.fetches()
			var processes []func() string
			for range 3 {
				processes = append(processes, c.start(t))
			}
			all := func() (answers []string) {
				for _, call := range processes {
					answers = append(answers, call())
				}
				return answers
			}
			if got := all(); !slices.Equal(got, []string{"0", "0", "0"}) || c.fetches() != fetched+c.first {
				t.Errorf("%s: got %q and %d fetches, want %d", c.name, got, c.fetches()-fetched, c.first)
			}
			if !c.wechat.KillNewest(workApp, "access_token", 42001) {
				t.Fatal("there is no token")
			}
			for range 2 {
				if got := all(); !slices.Equal(got, c.refused) || c.fetches() != fetched+c.first+c.second {
					t.Errorf("%s, refused: got %q and %d fetches, want %q and %d", c.name, got, c.fetches()-fetched, c.refused, c.first+c.second)
				}
			}
		}
	})
}

// staticClass is a program with the class, before or after the change.
type staticClass struct {
	*site
	name, program string
}

func newStaticClass(t *testing.T) (before, after staticClass) {
	t.Helper()
	s := newSite(t, "")
	s.serve()
	blocks, err := manual.Blocks(os.DirFS(filepath.Join(repository, "docs")), "csharp")
	if err != nil {
		t.Fatal(err)
	}
	var programs []staticClass
	for _, b := range blocks {
		if b.Page != "programs.md" {
			continue
		}
		program := s.compileCSharp(t, b, filepath.Join(repository, "clientlib/csharp/Tokend.cs"), filepath.Join(repository, "clientlib/csharp/tests/programs/Calls.cs"))
		programs = append(programs, staticClass{s, b.String(), program})
		if b.Before != (len(programs) == 1) {
			t.Fatalf("%v: before: %v", b, b.Before)
		}
	}
	if len(programs) != 2 {
		t.Fatalf("%d programs", len(programs))
	}
	return programs[0], programs[1]
}

// fetches returns the number of calls for the app's token, by the program or the daemon.
func (c staticClass) fetches() int { return c.wechat.CallsFor(wechattest.CorpToken, workApp) }

// start starts the program, and returns a function that makes it call WeChat and returns the
// errcode, or the text of an exception.
func (c staticClass) start(t *testing.T) (call func() string) {
	t.Helper()
	mono, err := exec.LookPath("mono")
	if err != nil {
		t.Skip("mono is not installed")
	}
	cmd := exec.CommandContext(t.Context(), mono, c.program)
	cmd.Env = c.programEnv()
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	return func() string {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
}
