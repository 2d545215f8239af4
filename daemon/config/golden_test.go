package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const golden = "../../testdata/config"

// newTestEnv returns an Env with a few files, variables, credentials and users. All its secrets
// begin with "canary", except keys.
func newTestEnv(t testing.TB) Env {
	t.Helper()
	files := fstest.MapFS{
		"etc/tokend/wx0123.secret":    {Data: []byte("canary-file\n"), Mode: 0o640},
		"etc/tokend/wx0123.aes_key":   {Data: []byte("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\n"), Mode: 0o600},
		"etc/tokend/crlf.secret":      {Data: []byte("canary-crlf\r\n"), Mode: 0o600},
		"etc/tokend/open.secret":      {Data: []byte("canary-open"), Mode: 0o644},
		"etc/tokend/two-lines.secret": {Data: []byte("canary-one\ncanary-two\n"), Mode: 0o600},
		"etc/tokend/huge.secret":      {Data: []byte(strings.Repeat("canary", 100_000)), Mode: 0o600},
		"etc/tokend/pipe":             {Mode: 0o600 | fs.ModeNamedPipe},
		"etc/tokend/hex.key":          {Data: []byte(strings.Repeat("0a", 32) + "\n"), Mode: 0o600},
		"etc/tokend/raw.key":          {Data: []byte(strings.Repeat("k", 31) + "\n"), Mode: 0o600},
	}
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials")
	if err := os.Mkdir(credentials, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string]string{
		filepath.Join(dir, "outside"):            "canary-outside",
		filepath.Join(credentials, "wx2.secret"): "canary-credential\n",
		filepath.Join(credentials, "tokend.key"): strings.Repeat("k", 32),
	} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Env{
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"WX_SECRET": "canary-env", "EMPTY": ""}[name]
			return v, ok
		},
		CredentialsDirectory: credentials,
		Open: func(path string) (fs.File, error) {
			if path == "/etc/tokend/forbidden.secret" {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			f, err := files.Open(strings.TrimPrefix(path, "/"))
			if pe, ok := errors.AsType[*fs.PathError](err); ok {
				pe.Path = path
			}
			return f, err
		},
		User: func(name string) (uint32, error) {
			if name == "www-data" {
				return 33, nil
			}
			return 0, user.UnknownUserError(name)
		},
		Group: func(name string) (uint32, error) {
			switch name {
			case "www-data":
				return 33, nil
			case "broken":
				return 0, errors.New("group database: input/output error")
			}
			return 0, user.UnknownGroupError(name)
		},
	}
}

// TestGolden parses every file in testdata/config. It compares the Config of a good file, as JSON,
// and the messages of a bad file with the golden files beside them.
func TestGolden(t *testing.T) {
	for kind, least := range map[string]int{"good": 5, "bad": 10} {
		paths, err := filepath.Glob(filepath.Join(golden, kind, "*.toml"))
		if err != nil || len(paths) < least {
			t.Fatalf("%s: found %d files, want at least %d (%v)", kind, len(paths), least, err)
		}
		for _, path := range paths {
			name := filepath.Base(path)
			t.Run(kind+"/"+name, func(t *testing.T) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				c, err := Parse(name, data, newTestEnv(t))
				if (err == nil) != (kind == "good") {
					t.Fatalf("a %s file: got error %v", kind, err)
				}
				if err != nil {
					wantGolden(t, strings.TrimSuffix(path, ".toml")+".want", err.Error()+"\n")
					return
				}
				wantGolden(t, strings.TrimSuffix(path, ".toml")+".json", dump(t, c))
			})
		}
	}
}

// dump returns c as JSON.
func dump(t *testing.T, c *Config) string {
	t.Helper()
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if strings.Contains(got, "canary") {
		t.Errorf("a secret is shown:\n%s", got)
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestSecretsRead checks the secrets that are redacted in the golden files.
func TestSecretsRead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden, "good", "secrets.toml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("secrets.toml", data, newTestEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(c.EncryptionKey)}
	for _, a := range c.OfficialAccounts {
		got = append(got, string(a.Secret))
	}
	for _, a := range c.Work {
		got = append(got, string(a.Secret))
	}
	want := []string{strings.Repeat("\n", 32), "canary-env", "canary-credential", "canary-crlf", "canary-open", "canary-file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "canary") {
			t.Errorf("Sprintf(%q) shows a secret", verb)
		}
	}
}
