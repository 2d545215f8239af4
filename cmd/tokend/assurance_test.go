package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// These tests compare docs/assurance.md with the repository: every test, fault test and fuzz target
// in it exists, and none is missing.

var (
	namedTest  = regexp.MustCompile("`([a-z/]+): ((?:Test|Fuzz)[A-Za-z0-9]+)`")
	namedRound = regexp.MustCompile("`\\.ci/faults ([a-z-]+)`")
	namedGoal  = regexp.MustCompile("`make ([a-z]+)`")
)

// functions returns the names of the tests and fuzz targets in each directory of the repository.
func functions(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\([a-z]+ \*testing\.[TF]\)`)
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(repository, filepath.Dir(path))
		for _, m := range declared.FindAllSubmatch(b, -1) {
			found[filepath.ToSlash(dir)] = append(found[filepath.ToSlash(dir)], string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAssuranceNamesTests(t *testing.T) {
	text, all := readText(t, "docs/assurance.md"), functions(t)
	named := namedTest.FindAllStringSubmatch(text, -1)
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if !slices.Contains(all[m[1]], m[2]) {
			t.Errorf("docs/assurance.md names %s of %s, which does not exist", m[2], m[1])
		}
	}
	for dir, names := range all {
		for _, name := range names {
			if !strings.HasPrefix(name, "Fuzz") {
				continue
			}
			if !strings.Contains(text, "`"+dir+": "+name+"`") {
				t.Errorf("docs/assurance.md lacks %s of %s", name, dir)
			}
			corpus, err := os.ReadDir(filepath.Join(repository, dir, "testdata", "fuzz", name))
			if err != nil || len(corpus) == 0 {
				t.Errorf("%s of %s has no corpus: %v", name, dir, err)
			}
		}
	}
	if left := regexp.MustCompile(`@[a-zA-Z-]+@`).FindAllString(text, -1); len(left) > 0 {
		t.Errorf("docs/assurance.md has rows without a figure: %q", left)
	}
}

// TestAssuranceNamesClients holds that the tests of the clients in other languages exist.
func TestAssuranceNamesClients(t *testing.T) {
	_, table, ok := strings.Cut(readText(t, "docs/assurance.md"), "\n| fault | Go | C# | PHP |\n|---|---|---|---|\n")
	if !ok {
		t.Fatal("docs/assurance.md has no table of clients")
	}
	var csharp strings.Builder
	for _, name := range []string{"ClientTests.cs", "HandlerTests.cs"} {
		csharp.WriteString(readText(t, "clientlib/csharp/tests/"+name))
	}
	seen := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 4 {
			t.Fatalf("a row of %d cells: %s", len(cells), line)
		}
		named := func(cell string) []string {
			return strings.FieldsFunc(namedTest.ReplaceAllString(cell, ""), func(c rune) bool { return c == ',' || c == ' ' })
		}
		for _, name := range named(cells[2]) {
			seen++
			if !strings.Contains(csharp.String(), "public static void "+name+"()") {
				t.Errorf("docs/assurance.md names %s, which the C# client does not have", name)
			}
		}
		for _, name := range named(cells[3]) {
			seen++
			class, method, _ := strings.Cut(name, "::")
			if !strings.Contains(readText(t, "clientlib/php/tests/"+class+".php"), "public function "+method+"(") {
				t.Errorf("docs/assurance.md names %s, which the PHP client does not have", name)
			}
		}
	}
	if seen < 25 {
		t.Errorf("only %d tests are named", seen)
	}
}

func TestAssuranceNamesRounds(t *testing.T) {
	text, all := readText(t, "docs/assurance.md"), functions(t)
	cmd := exec.Command("bash", ".ci/faults", "-l")
	cmd.Dir = repository
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("SKIPPED: bash: %v", err)
	}
	rounds := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			t.Fatalf("a fault test with %d fields: %s", len(f), line)
		}
		name, dir, test, flags := f[0], strings.TrimPrefix(f[1], "./"), f[2], f[3]
		rounds[name] = true
		if !strings.Contains(text, "`.ci/faults "+name+"`") {
			t.Errorf("docs/assurance.md lacks the fault test %s", name)
		}
		prefix, many := strings.CutSuffix(test, "*")
		if !slices.ContainsFunc(all[dir], func(n string) bool { return n == test || many && strings.HasPrefix(n, prefix) }) {
			t.Errorf("the fault test %s runs %s of %s, which does not exist", name, test, dir)
		}
		flag, _, _ := strings.Cut(strings.TrimPrefix(flags, "-"), "=")
		if flag == "count" {
			continue // a flag of go test
		}
		defined := regexp.MustCompile(`= flag\.[A-Z][A-Za-z0-9]*\("` + regexp.QuoteMeta(flag) + `"`)
		files, err := filepath.Glob(filepath.Join(repository, dir, "*_test.go"))
		if err != nil || !slices.ContainsFunc(files, func(path string) bool {
			b, err := os.ReadFile(path)
			return err == nil && defined.Match(b)
		}) {
			t.Errorf("the fault test %s has the flag %s, which %s does not know", name, flags, dir)
		}
	}
	for _, m := range namedRound.FindAllStringSubmatch(text, -1) {
		if !rounds[m[1]] {
			t.Errorf("docs/assurance.md names the fault test %s, which does not exist", m[1])
		}
	}
	makefile := readText(t, "Makefile")
	for _, m := range namedGoal.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("docs/assurance.md names make %s, which does not exist", m[1])
		}
	}
}

// TestSkippedGuarantee runs .ci/skips on scripted test output: it must fail if a test that
// docs/assurance.md names was skipped.
func TestSkippedGuarantee(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := write("NAMED.md", "One row is `a/b: TestNamed`, another `a/b: TestRuns`.\n")
	event := func(action, test, output string) string {
		return `{"Action":"` + action + `","Package":"m/a/b","Test":"` + test + `","Output":"` + output + `"}` + "\n"
	}
	skip := func(test string) string {
		return event("output", test, `    x_test.go:7: no root\n`) + event("skip", test, "")
	}
	passed := event("pass", "TestRuns", "") + event("output", "", `ok  \tm/a/b\n`)
	for _, c := range []struct {
		name, events string
		exit         string
		code         int
		want         []string
	}{
		{"nothing", passed, "0", 0, []string{"ok  \tm/a/b", "skipped tests: 0"}},
		{"another", skip("TestOther") + passed, "0", 0, []string{"skipped tests: 1", "a/b: TestOther  (no root)"}},
		{"named", skip("TestNamed") + passed, "0", 1, []string{"a/b: TestNamed was skipped"}},
		{"a case of it", skip("TestNamed/case") + passed, "0", 1, []string{"a/b: TestNamed was skipped"}},
		{"failed", event("output", "TestRuns", `why it failed\n`) + event("fail", "TestRuns", ""), "1", 1, []string{"why it failed"}},
		{"broken", "", "1", 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := write("go", "#!/bin/sh\ncat <<'END'\n"+c.events+"END\nexit "+c.exit+"\n")
			cmd := exec.Command("go", "run", "./.ci/skips", "-require", named, command, "test", "./...")
			cmd.Dir = repository
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit status %d (%v), want %d\n%s", code, err, c.code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
}
