package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeExamples runs the README's examples, as they stand there, against a daemon. Those
// whose language is not installed are skipped.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	readme := readText(t, "README.md")
	s := newSite(t, "")
	s.serve()

	// example returns the first block of a language that has all the words, with this test's
	// socket and account, as a file.
	example := func(t *testing.T, file, before, language, after string, words ...string) string {
		t.Helper()
	next:
		for _, b := range blocks(readme, language) {
			for _, w := range words {
				if !strings.Contains(b, w) {
					continue next
				}
			}
			b = strings.NewReplacer(
				"/run/tokend/tokend.sock", s.conf.Socket(),
				"official_account/wx0123456789abcdef", "official_account/wxsandboxofficial",
			).Replace(before + b + after)
			path := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		t.Fatalf("no example in %s with %q", language, words)
		return ""
	}
	const name = "official_account/wxsandboxofficial/access_token"
	current := func(t *testing.T) string {
		t.Helper()
		v, err := s.client.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Value)
	}
	output := func(t *testing.T, dir, program string, args ...string) string {
		t.Helper()
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skipf("%s is not installed", program)
		}
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return strings.TrimSpace(string(out))
	}

	t.Run("php", func(t *testing.T) {
		file := example(t, "example.php", "<?php\n", "php", `
try { tokend('GET', 'official_account/nobody/access_token'); } catch (RuntimeException $e) { echo $e->getMessage(), "\n"; }
try { tokend("GET a\nGET b"); } catch (InvalidArgumentException $e) { echo $e->getMessage(), "\n"; }
echo count(tokend('SIGN', 'official_account/wxsandboxofficial/jsapi_ticket', 'https://example.com/')), "\n";
echo $token;
`, "stream_socket_client")
		got := output(t, "", "php", file)
		want := "tokend: ERR NOT_FOUND - no such credential\ntokend: control character in a request\n3\n" + current(t)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("csharp", func(t *testing.T) {
		file := example(t, "Example.cs", "", "csharp", "", "UnixDomainSocketEndPoint")
		output(t, filepath.Dir(file), "mcs", "-r:System.Core.dll", file)
		output(t, filepath.Dir(file), "mono", "Example.exe") // an exception is an exit status
	})
	t.Run("shell", func(t *testing.T) {
		if help, _ := exec.CommandContext(t.Context(), "nc", "-h").CombinedOutput(); !strings.Contains(string(help), "-N") {
			t.Skip("nc is not installed, or not OpenBSD's")
		}
		file := example(t, "example.sh", "set -eu\n", "sh", `echo "$token"`, "tokend reject", "nc -N")
		got := strings.Fields(output(t, "", "sh", file))
		value := current(t)
		if len(got) != 4 || got[0] != "OK" || got[2] != value || got[3] != value {
			t.Errorf("got  %q\nwant OK, seconds, and twice %s", got, value)
		}
	})
}
