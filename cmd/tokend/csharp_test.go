package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokend/clientlib/manual"
	"tokend/fetchers/wechattest"
)

// TestManualCSharp runs all code in C# of the manual against a site, with SDKs of the same shape.
// The program before the change fetches for itself. The one after it does not, and its call
// succeeds also if WeChat refuses the token.
func TestManualCSharp(t *testing.T) {
	t.Parallel()
	blocks, err := manual.Blocks(os.DirFS(filepath.Join(repository, "docs")), "csharp")
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) < 8 {
		t.Errorf("only %d blocks", len(blocks))
	}
	for _, b := range blocks {
		t.Run(b.String(), func(t *testing.T) { runCSharp(t, b) })
	}
}

// runCSharp compiles and runs a block. If it has no main function, it is compiled with the client,
// the SDKs, and a main function that calls its methods.
func runCSharp(t *testing.T, b manual.Block) {
	s := newSite(t, "")
	s.serve()
	var sdks []string
	if !strings.Contains(b.Text, "static void Main(") {
		var err error
		if sdks, err = filepath.Glob(filepath.Join(repository, "clientlib/csharp/tests/sdks/*.cs")); err != nil {
			t.Fatal(err)
		}
		sdks = append(sdks, filepath.Join(repository, "clientlib/csharp/Tokend.cs"))
	}
	program := s.compileCSharp(t, b, sdks...)

	accepted := func() {
		t.Helper()
		out := s.runTool(t, "mono", program)
		token, err := s.client.Get(t.Context(), "work/wwsandboxcorp/1000002/access_token")
		if err != nil {
			t.Fatal(err)
		}
		if out != token.Value.Reveal() && out != "errcode 0" && !strings.Contains(out, "ip_list") {
			t.Errorf("got %s", out)
		}
	}
	accepted()
	if b.Before {
		if fetchedByOthers(t, s) == 0 {
			t.Error("the program before the change did not fetch")
		}
		return
	}
	if s.wechat.Calls(wechattest.Probe) > 0 { // the block calls WeChat
		s.wechat.Inject(wechattest.Fault{Endpoint: wechattest.Probe, Code: 40001, Times: 1})
		accepted()
	}
	if n := fetchedByOthers(t, s); n != 0 {
		t.Errorf("the program fetched %d times", n)
	}
}

// compileCSharp compiles a block of the manual with other files and returns the program.
func (s *site) compileCSharp(t *testing.T, b manual.Block, files ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "Program.exe")
	args := []string{"-langversion:7.2", "-r:System.Core.dll", "-r:System.Net.Http.dll", "-out:" + program, file(t, "Block.cs", csharpNames(s).Replace(b.Text))}
	s.runTool(t, "mcs", append(args, files...)...)
	return program
}

// runTool runs a program of mono and returns its output.
func (s *site) runTool(t *testing.T, command string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		t.Skipf("%s is not installed", command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Env = s.programEnv()
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "`System.Net.Http.dll' could not be found") {
		t.Skip("mono has no System.Net.Http")
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// programEnv returns the environment of a program that uses the site.
func (s *site) programEnv() []string {
	return append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket(), "WECHAT="+s.conf.URL)
}

// csharpNames maps the accounts of the manual to the site's.
func csharpNames(s *site) *strings.Replacer {
	secrets := map[string]string{}
	for _, a := range s.accounts {
		secrets[a.ID+a.AgentID] = a.Secret
	}
	return strings.NewReplacer(
		"wx0123456789abcdef", "wxsandboxrotating", "0123456789abcdef0123456789abcdef", secrets["wxsandboxrotating"],
		"corpsecret=...", "corpsecret="+secrets["wwsandboxcorp1000002"], "ww0123456789abcdef", "wwsandboxcorp",
		"https://api.weixin.qq.com", s.conf.URL, "https://qyapi.weixin.qq.com", s.conf.URL, "/run/tokend/tokend.sock", s.conf.Socket(),
	)
}

// fetchedByOthers returns the number of fetches that WeChat has seen and the daemon has not made.
func fetchedByOthers(t *testing.T, s *site) int {
	t.Helper()
	stats, err := s.client.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stats {
		if p.Key == "calls" {
			n, err := strconv.Atoi(p.Value)
			if err != nil {
				t.Fatal(err)
			}
			return s.wechat.Total() - s.wechat.Calls(wechattest.Probe) - n
		}
	}
	t.Fatal("STATS has no calls")
	return 0
}
