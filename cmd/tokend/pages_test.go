package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tokend/daemon/config"
)

// pages returns the paths of the user documentation in docs, in both languages.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"docs/*.md", "docs/zh/*.md"} {
		names, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			all = append(all, path.Join(path.Dir(pattern), filepath.Base(name)))
		}
	}
	if len(all) == 0 {
		t.Fatal("docs has no page")
	}
	return all
}

// comment matches a comment in a code block of any language in the pages.
var comment = regexp.MustCompile(`(?m)(^|[ \t]+)(//|#) .*$`)

// TestTranslations holds that a page and its translation differ only in prose: code without
// comments, commands, names, keys, links, and the number of sections are the same.
func TestTranslations(t *testing.T) {
	compare := func(english, chinese string) {
		t.Run(chinese, func(t *testing.T) { sameExceptProse(t, english, chinese) })
	}
	for _, page := range pages(t) {
		if name, ok := strings.CutPrefix(page, "docs/zh/"); ok {
			compare("docs/"+name, page)
		}
	}
	// Both have an index of the pages, or neither.
	if strings.Contains(readText(t, "README.md"), "](docs/configuration.md)") == strings.Contains(readText(t, "README.zh-CN.md"), "](docs/zh/configuration.md)") {
		compare("README.md", "README.zh-CN.md")
	}
}

func sameExceptProse(t *testing.T, english, chinese string) {
	t.Helper()
	en, zh := readText(t, english), readText(t, chinese)
	same := func(what string, pick func(page, text string) []string) {
		inEnglish, inChinese := pick(english, en), pick(chinese, zh)
		for _, s := range inEnglish {
			if !slices.Contains(inChinese, s) {
				t.Errorf("%s lacks the %s %s", chinese, what, s)
			}
		}
		for _, s := range inChinese {
			if !slices.Contains(inEnglish, s) {
				t.Errorf("%s lacks the %s %s", english, what, s)
			}
		}
	}
	same("code block", func(_, text string) (all []string) {
		for _, b := range codeBlock.FindAllString(text, -1) {
			all = append(all, comment.ReplaceAllString(b, ""))
		}
		return all
	})
	same("code", func(_, text string) []string {
		return codeSpan.FindAllString(codeBlock.ReplaceAllString(text, ""), -1)
	})
	same("link", func(page, text string) (all []string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#") // a heading is prose
			if target == "" {
				continue // a heading of the page itself
			}
			if !strings.Contains(target, "://") {
				target = path.Join(path.Dir(page), target)
				target = strings.NewReplacer("docs/zh/", "docs/", "README.zh-CN.md", "README.md").Replace(target)
			}
			if target != "README.md" && target != english { // each may link to the other
				all = append(all, target)
			}
		}
		return all
	})
	if a, b := strings.Count(en, "\n## "), strings.Count(zh, "\n## "); a != b {
		t.Errorf("sections: %s has %d, %s %d", english, a, chinese, b)
	}
}

// TestPageConfigurations holds that every configuration in a page is valid and causes no warning,
// except that it may configure no account.
func TestPageConfigurations(t *testing.T) {
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, "tokend.key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := config.Env{
		CredentialsDirectory: credentials,

		LookupEnv: func(string) (string, bool) { return "", false },
		Open:      func(name string) (fs.File, error) { return os.Open(secretFile(t, filepath.Ext(name))) },
		User:      func(string) (uint32, error) { return 33, nil },
		Group:     func(string) (uint32, error) { return 33, nil },
	}
	seen := 0
	for _, page := range append(pages(t), "README.md", "README.zh-CN.md") {
		for _, text := range blocks(readText(t, page), "toml") {
			seen++
			c, err := config.Parse(page, []byte(text), env)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, w := range c.Warnings {
				if w.Message != "configures no account" {
					t.Error(w)
				}
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d configurations found", seen)
	}
}

// secretFile returns a file with a secret, in the form of the extension.
func secretFile(t *testing.T, extension string) string {
	t.Helper()
	name, secret := filepath.Join(t.TempDir(), "secret"), "of-no-use"
	if extension == ".aes_key" {
		secret = strings.Repeat("A", 43)
	}
	if err := os.WriteFile(name, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPageLength holds the limits for the first pages that a user reads.
func TestPageLength(t *testing.T) {
	if got := strings.Count(readText(t, "README.md"), "\n"); got > 200 {
		t.Errorf("README.md has %d lines, want at most 200", got)
	}
	if got := strings.Count(readText(t, "SECURITY.md"), "\n"); got > 60 {
		t.Errorf("SECURITY.md has %d lines, want at most 60", got)
	}
}

// TestPageCommands runs the commands in the pages that query a daemon and its configuration, at a
// site with the same accounts. It leaves out commands that change a host, that do not end, and that
// other tests run.
func TestPageCommands(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	names := strings.NewReplacer("official_account/wx0123456789abcdef", "official_account/wxsandboxofficial",
		"work/ww0123456789abcdef/", "work/wwsandboxcorp/")
	run := []string{"check", "reload", "status", "list", "history", "get", "refresh"}
	ran := map[string]bool{}
	for _, page := range append(pages(t), "README.md") {
		for _, block := range blocks(readText(t, page), "sh") {
			for line := range strings.Lines(block) {
				command, _, _ := strings.Cut(strings.TrimPrefix(line, "sudo "), " | ")
				args := strings.Fields(names.Replace(command))
				if strings.HasPrefix(line, "printf 'GET ") {
					ask := strings.NewReplacer("wx0123/", "wxsandboxofficial/", "wx0123456789abcdef/", "wxsandboxofficial/",
						"/run/tokend/tokend.sock", s.conf.Socket()).Replace(line)
					out, err := exec.CommandContext(t.Context(), "sh", "-c", ask).CombinedOutput()
					if netcat(t) && (err != nil || !strings.HasPrefix(string(out), "OK ")) {
						t.Errorf("%s: %s%v\n%s", page, line, err, out)
					}
				}
				if len(args) < 2 || args[0] != "tokend" || !slices.Contains(run, args[1]) {
					continue
				}
				if args[1] == "check" {
					args = append(args, "--config", s.file())
				}
				cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
				cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket())
				out, err := cmd.CombinedOutput()
				attention := args[1] == "status" && (len(args) == 2 || args[2] == "--json") && cmd.ProcessState.ExitCode() == exitFailed // no ticket has been pushed
				if err != nil && !attention {
					t.Errorf("%s: %s%v\n%s", page, line, err, out)
				}
				ran[args[1]] = true
			}
		}
	}
	if len(ran) < 5 {
		t.Errorf("only these commands found: %v", ran)
	}
}

// TestPageFigures holds that the ratios in docs/operations.md are those of the last measurement.
func TestPageFigures(t *testing.T) {
	measured := readText(t, "docs/benchmarks.txt")
	for _, page := range pages(t) {
		if filepath.Base(page) != "operations.md" {
			continue
		}
		ratios := regexp.MustCompile(`(?m)^\|[^|]*\| ([0-9]\.[0-9]{2}) \|$`).FindAllStringSubmatch(readText(t, page), -1)
		if len(ratios) < 5 {
			t.Errorf("%s has only %d ratios", page, len(ratios))
		}
		for _, m := range ratios {
			if !strings.Contains(measured, " "+m[1]+"x ") {
				t.Errorf("%s: docs/benchmarks.txt has no ratio of %s", page, m[1])
			}
		}
	}
}
