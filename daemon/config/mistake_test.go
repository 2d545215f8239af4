package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// oneAccount is an official account. A mistake in another line is on line 4.
const oneAccount = "[[official_account]]\napp_id = \"wx1\"\nsecret = \"canary-s\"\n"

// utf16File returns s in UTF-16 with a byte order mark, as Windows' editor saves it.
func utf16File(s string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(s)) {
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

// mistakes are files with one mistake each. Secrets in them begin with "canary".
var mistakes = []struct{ name, file string }{
	{"Chinese quotation marks", "[[official_account]]\napp_id = \"wx1\"\nsecret = “canary-a”\n"},
	{"a Chinese closing quotation mark", "[[official_account]]\nsecret = \"canary-a”\napp_id = \"wx1\"\n"},
	{"a Chinese opening quotation mark", "[[official_account]]\nsecret = “canary-a\"\n"},
	{"single Chinese quotation marks", "log_level = ‘debug’\n"},
	{"a Chinese quotation mark in an array", oneAccount + "[[access]]\nusers = [\"www-data”, \"root\"]\n"},
	{"corner brackets", "log_level = 「debug」\n"},
	{"backticks", "[[official_account]]\nsecret = `canary-a`\n"},
	{"a full-width equals sign", "log_level ＝ \"debug\"\n"},
	{"a Chinese comma", oneAccount + "[[access]]\nusers = [\"www-data\"，\"root\"]\n"},
	{"a full-width space", "log_level　= \"debug\"\n"},
	{"a no-break space", "log_level\u00a0= \"debug\"\n"},
	{"Chinese brackets", "【http】\nlisten = \"127.0.0.1:8711\"\n"},
	{"a full-width number sign", "＃ comment\n"},
	{"no quotation marks", "[[official_account]]\napp_id = \"wx1\"\nsecret = canary-a\n"},
	{"no quotation marks around digits", "[[official_account]]\napp_id = \"wx1\"\nsecret = 0canary8f3a\n"},
	{"no quotation marks around a path", "socket = /run/tokend/tokend.sock\n"},
	{"no quotation marks around an address", "[http]\nlisten = 127.0.0.1:8711\n"},
	{"no quotation marks around a duration", "[upstream]\ntimeout = 5s\n"},
	{"no quotation marks around a mode", "socket_mode = 0660\n"},
	{"no closing quotation mark", "[[official_account]]\nsecret = \"canary-a\napp_id = \"wx1\"\n"},
	{"no opening quotation mark", "[[official_account]]\nsecret = canary-a\"\n"},
	{"mixed quotation marks", "[[official_account]]\nsecret = \"canary-a'\n"},
	{"a quotation mark in a value", "[[official_account]]\nsecret = 'canary'a'\n"},
	{"a backslash", "[[official_account]]\nsecret = { file = \"C:\\secrets\\canary\" }\n"},
	{"no =", "[[official_account]]\napp_id = \"wx1\"\nsecret \"canary-a\"\n"},
	{"a colon for =", "[[official_account]]\napp_id: \"wx1\"\n"},
	{"a colon in a table", "[[official_account]]\nsecret = { file: \"/canary\" }\n"},
	{"a key alone", "[[official_account]]\napp_id\n"},
	{"no value", "[[official_account]]\napp_id =\n"},
	{"two =", "log_level == \"debug\"\n"},
	{"a space in a key", "log level = \"debug\"\n"},
	{"a Chinese key", "密钥 = \"canary-a\"\n"},
	{"no key", "= \"canary-a\"\n"},
	{"export", "export WX_SECRET=canary-a\n"},
	{"a boolean in upper case", oneAccount + "use_stable_access_token = True\n"},
	{"a boolean in words", oneAccount + "use_stable_access_token = no\n"},
	{"no closing brackets of a header", "[[official_account\napp_id = \"wx1\"\n"},
	{"one closing bracket of two", "[[official_account]\napp_id = \"wx1\"\n"},
	{"one opening bracket of two", "[official_account]]\napp_id = \"wx1\"\n"},
	{"a table for tables", "[official_account]\napp_id = \"wx1\"\n"},
	{"a space in a header", "[[official account]]\napp_id = \"wx1\"\n"},
	{"no closing bracket of an array", oneAccount + "[[access]]\nusers = [\"www-data\"\nnames = [\"*\"]\n"},
	{"no closing bracket of an array, with a comma", oneAccount + "[[access]]\nusers = [\"www-data\",\nnames = [\"*\"]\n"},
	{"no comma in an array", oneAccount + "[[access]]\nusers = [\"www-data\" \"root\"]\n"},
	{"no closing brace", "[[official_account]]\nsecret = { file = \"/canary\"\napp_id = \"wx1\"\n"},
	{"a comment with //", "// tokend\n"},
	{"a comment with //, after a value", "log_level = \"debug\" // all\n"},
	{"a comment with ;", "; tokend\n"},
	{"a semicolon at the end", "log_level = \"debug\";\n"},
	{"a comma at the end", "log_level = \"debug\",\n"},
	{"two settings on a line", "log_level = \"debug\" log_format = \"json\"\n"},
	{"a key twice", "log_level = \"info\"\nlog_level = \"debug\"\n"},
	{"a table twice", "[upstream]\ntimeout = \"5s\"\n[upstream]\nwork_url = \"https://w\"\n"},
	{"a table and tables", oneAccount + "[official_account]\napp_id = \"wx2\"\n"},
	{"JSON", "{\n  \"secret\": \"canary-a\"\n}\n"},
	{"XML", "<xml><secret>canary-a</secret></xml>\n"},
	{"UTF-16", utf16File(oneAccount)},
	{"GBK", oneAccount + "# \xb9\xab\xd6\xda\xba\xc5\n"},
	{"a long line", oneAccount + "[[access]]\nusers = [" + strings.Repeat("\"canary\", ", 40) + "canary]\n"},

	{"a top-level key in a table", oneAccount + "log_level = \"debug\"\n"},
	{"a key of another table", oneAccount + "timeout = \"5s\"\n"},
	{"a key with a typing error", "scoket = \"/run/s\"\n"},
	{"a key that is set already", oneAccount + "app_ids = \"wx2\"\n"},
	{"a key in camel case", "[[official_account]]\nappId = \"wx1\"\nsecret = \"canary-s\"\n"},
	{"an unknown verb", oneAccount + "[[access]]\nusers = [\"www-data\"]\nnames = [\"*\"]\nverbs = [\"READ\"]\n"},
	{"a verb with a typing error", oneAccount + "[[access]]\nusers = [\"www-data\"]\nnames = [\"*\"]\nverbs = [\"GETT\", \"REJCT\", \"RELAOD\"]\n"},
	{"an integer for a string", "[[work]]\ncorp_id = \"ww1\"\nagent_id = 1000002\nsecret = \"canary-s\"\n"},
	{"a missing secret", "[[official_account]]\napp_id = \"wx1\"\n"},
	{"pages without an address", "[pages]\nmonitors = [\"127.0.0.1\"]\ncredential_metrics = false\n"},
	{"a secret of two lines", "[[official_account]]\napp_id = \"wx1\"\nsecret = { file = \"/etc/tokend/two-lines.secret\" }\n"},
}

// TestMistakes compares the messages of all mistakes with testdata/config/mistakes.want. None may
// show a secret.
func TestMistakes(t *testing.T) {
	if len(mistakes) < 40 {
		t.Errorf("only %d mistakes", len(mistakes))
	}
	var got strings.Builder
	for _, m := range mistakes {
		_, err := Parse("tokend.toml", []byte(m.file), newTestEnv(t))
		ps, ok := errors.AsType[Problems](err)
		if !ok {
			t.Errorf("%s: got error %v", m.name, err)
		}
		fmt.Fprintf(&got, "# %s\n", m.name)
		for _, p := range ps {
			fmt.Fprintln(&got, p)
			for line := range strings.Lines(p.Excerpt) {
				fmt.Fprintf(&got, "    %s\n", strings.TrimRight(line, "\n"))
			}
		}
		got.WriteString("\n")
	}
	wantGolden(t, filepath.Join(golden, "mistakes.want"), got.String())
}

// TestVocabulary checks that an excerpt shows every key, and nothing else that a line may contain.
func TestVocabulary(t *testing.T) {
	keys := keysRead(t)
	if len(keys) < 30 {
		t.Fatalf("found %d keys", len(keys))
	}
	for key := range keys {
		line := key + " = canary"
		if got := excerpt(line, 0); got != key+" = ...\n^" {
			t.Errorf("%s:\n got %q", line, got)
		}
	}
	for _, line := range []string{
		"canary", "canary = canary", "canary \"canary\"", "[[canary]]", "{ canary = 'canary' }", "\"canary\", \"canary\",",
		"# canary", "secret = \"x\" # canary", "secret = \"\"\"canary", "canary\"\"\"", "secret = can\"ary", "secret = 'canary\"canary",
		"secret=canary=canary", "secret: canary", "“canary” canary", "c.a.n.a.r.y = 1", "secret = \"\\\"canary\"", "canary==",
	} {
		for column := range len(line) + 1 {
			if got := excerpt(line, column); strings.Contains(got, "canary") || strings.Contains(got, "ary") {
				t.Errorf("%s: shown as %q", line, got)
			}
		}
	}
}

// TestMistakesOfExample checks that every line of the example configuration, cut after any
// character, has a message without the values of the line.
func TestMistakesOfExample(t *testing.T) {
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "#"), "\n")
		key, value, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, " ") {
			continue
		}
		secret := strings.Trim(value, `"`)
		for end := range line {
			_, problem := parse([]byte(line[:end]), new(pace))
			if problem == nil {
				continue
			}
			n++
			if problem.Line != 1 || problem.Message == "" || strings.Contains(problem.Message, "not TOML") || !strings.Contains(problem.Excerpt, "\n") {
				t.Errorf("%q: got %+v", line[:end], problem)
			}
			if len(secret) > 5 && value[0] == '"' && strings.Contains(problem.Excerpt+problem.Message, secret[:6]) && !strings.Contains(key, secret[:6]) {
				t.Errorf("%q: a value is shown: %+v", line[:end], problem)
			}
		}
	}
	if n < 100 {
		t.Errorf("%d mistakes only", n)
	}
}
