package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// TestCSharpPage runs the examples of docs/csharp.md against a site, with SDKs of the same shape.
func TestCSharpPage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"mcs", "mono"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	s := newSite(t, "")
	s.serve()
	var app sandbox.Account // the app that the page uses
	for _, a := range s.accounts {
		if a.AgentID == "1000002" {
			app = a
		}
	}
	names := strings.NewReplacer(
		"official_account/wx0123456789abcdef", "official_account/wxsandboxrotating",
		"https://api.weixin.qq.com", s.conf.URL,
		"work/ww0123456789abcdef/1000002", "work/"+app.ID+"/"+app.AgentID,
		"https://qyapi.weixin.qq.com", s.conf.URL,
		"corpid=ww0123456789abcdef&corpsecret=...", "corpid="+app.ID+"&corpsecret="+app.Secret,
	)
	dir := t.TempDir()
	var page, static []string // files with examples
	for i, block := range blocks(readText(t, "docs/csharp.md"), "csharp") {
		file := filepath.Join(dir, fmt.Sprintf("Example%d.cs", i))
		if err := os.WriteFile(file, []byte(names.Replace(block)), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(block, "class WorkToken") {
			static = append(static, file)
		} else {
			page = append(page, file)
		}
	}
	if len(page) != 3 || len(static) != 2 {
		t.Fatalf("%d and %d examples", len(page), len(static))
	}
	run := func(command string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, command, args...)
		cmd.Dir = repository
		cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket(), "WECHAT="+s.conf.URL)
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "`System.Net.Http.dll' could not be found") {
			t.Skip("mono has no System.Net.Http")
		}
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", command, args, err, out)
		}
		return string(out)
	}
	compile := func(name string, files ...string) string {
		t.Helper()
		program := filepath.Join(dir, name+".exe")
		run("mcs", append([]string{"-langversion:7.2", "-r:System.Core.dll", "-r:System.Net.Http.dll", "-out:" + program, "clientlib/csharp/Tokend.cs"}, files...)...)
		return program
	}
	const sdks = "clientlib/csharp/tests/sdks/"

	program := compile("Page", append(page, sdks+"Wire.cs", sdks+"Senparc.cs", sdks+"Skit.cs")...)
	token := func() string {
		t.Helper()
		v, err := s.client.Get(t.Context(), "official_account/wxsandboxrotating/access_token")
		if err != nil {
			t.Fatal(err)
		}
		return v.Value.Reveal()
	}
	for _, example := range []string{"Official", "SenparcMessages", "SkitUsers"} {
		before := token()
		if got := run("mono", program, example); got != "accepted" || token() != before {
			t.Errorf("%s: got %q, another token: %v", example, got, token() != before)
		}
		s.wechat.Inject(wechattest.Fault{Endpoint: wechattest.Probe, Code: 40001, Times: 1})
		if got := run("mono", program, example); got != "accepted" || token() == before {
			t.Errorf("%s, refused once: got %q, another token: %v", example, got, token() != before)
		}
	}

	old, replaced := compile("Before", static[0], sdks+"Static.cs"), compile("After", static[1], sdks+"Static.cs")
	if was, is := run("mono", old), run("mono", replaced); was != is || len(was) < 20 {
		t.Errorf("before %q, after %q", was, is) // WeCom repeats a valid token
	}
}
