package clientlib

import (
	"context"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// compileCSharp compiles the C# client with its tests and returns the program.
func compileCSharp(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"mcs", "mono"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	tests, err := filepath.Glob("csharp/tests/*.cs")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "Tests.exe")
	args := append([]string{"-langversion:7.2", "-warn:4", "-warnaserror", "-r:System.Core.dll", "-r:System.Net.Http.dll", "-out:" + program, "csharp/Tokend.cs"}, tests...)
	if out, err := exec.CommandContext(t.Context(), "mcs", args...).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "`System.Net.Http.dll' could not be found") {
			t.Skip("mono has no System.Net.Http")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestCSharp runs the tests of the C# client.
func TestCSharp(t *testing.T) {
	program := compileCSharp(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "mono", program, "test", "../testdata/stale.json").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("%s", line)
		}
	}
	if n := strings.Count(string(out), "ok "); err != nil || n < 25 {
		t.Errorf("%d tests, %v", n, err)
	}
}

// TestCSharpProject holds that the project file is for the language and the framework that the
// client promises, and describes the package.
func TestCSharpProject(t *testing.T) {
	text, err := os.ReadFile("csharp/Tokend.csproj")
	if err != nil {
		t.Fatal(err)
	}
	var project struct {
		Framework   string `xml:"PropertyGroup>TargetFramework"`
		Language    string `xml:"PropertyGroup>LangVersion"`
		Description string `xml:"PropertyGroup>Description"`
		Files       []struct {
			Name string `xml:"Include,attr"`
		} `xml:"ItemGroup>Compile"`
	}
	if err := xml.Unmarshal(text, &project); err != nil {
		t.Fatal(err)
	}
	if project.Framework != "netstandard2.0" || project.Language != "7.3" || project.Description == "" || len(project.Files) != 1 || project.Files[0].Name != "Tokend.cs" {
		t.Errorf("got %+v", project)
	}
}
