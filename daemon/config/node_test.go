package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// decoded returns n in the form of the library's decoder. Values of types that no setting has are
// represented by the name of the type.
func decoded(n *node) any {
	switch n.kind {
	case unstable.Table:
		m := map[string]any{}
		for c := range n.values() {
			m[string(c.key)] = decoded(c)
		}
		return m
	case unstable.Array:
		all := []any{}
		for c := range n.values() {
			all = append(all, decoded(c))
		}
		return all
	case unstable.String:
		return string(n.text)
	case unstable.Bool:
		return string(n.text) == "true"
	case unstable.Integer:
		return n.integer()
	}
	return typeName(n)
}

// named replaces values as decoded does.
func named(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, of := range v {
			v[key] = named(of)
		}
		return v
	case []any:
		for i := range v {
			v[i] = named(v[i])
		}
		return v
	case string, bool, int64:
		return v
	case float64:
		return "a float"
	}
	return "a date or time"
}

// sameAsDecoder checks that the nodes of a file are what the library's decoder returns, and that a
// file with plain syntax is valid.
func sameAsDecoder(t *testing.T, data []byte) {
	t.Helper()
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var want map[string]any
	err := toml.Unmarshal(data, &want)
	b := builder{data: data, pace: new(pace)}
	root, syntax := b.build()
	if err != nil {
		if syntax == nil && b.plain {
			t.Errorf("a mistake was accepted: %v", err)
		}
		return
	}
	if syntax != nil {
		t.Fatalf("a valid file was refused: %v", syntax)
	}
	if want == nil {
		want = map[string]any{}
	}
	if diff := cmp.Diff(named(want), decoded(root)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// unusual are files, valid or not, whose constructs tokend's settings do not need.
var unusual = []string{
	"", "# comment", "a.b = 1\na.c = 2\n", "a.b = 1\n[a]\nc = 2\n", "[a.b]\nc = 1\n[a]\nd = 2\n", "[a]\n[a]\n", "[a]\nb.c = 1\n[a.b]\nd = 2\n",
	"[[a]]\nb = 1\n[a.c]\nd = 2\n[[a]]\n[a.c]\nd = 3\n", "[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n[[a]]\n[[a.b]]\nc = 3\n", "[a]\n[[a]]\n", "[[a]]\n[a]\n",
	"a = []\n[[a]]\n", "a = [{b = 1}]\n[[a]]\nb = 2\n", "a = [{b = 1}]\n[a.c]\nd = 2\n", "a = {b = 1}\n[a.c]\n", "a = {b = 1, b = 2}\n", "a = {b.c = 1, b.d = 2}\n",
	"a = 1\na = 2\n", "a = 1\n[a]\n", "a = 1\n[a.b]\n", "a = 1\na.b = 2\n", "[[a.b]]\nc = 1\n[a]\nd = 2\n", "[a.b.c]\n[a.b]\n[a]\n[a.b]\n", "[[a.b.c]]\n[[a.b]]\n",
	"\"a b\" = 1\n'c' = 2\n\"\\u0061\" = 3\n", "a = +5\nb = 0x1F\nc = 0o17\nd = 0b11\ne = 1_000\nf = -0\n", "a = 9223372036854775807\nb = -9223372036854775808\n",
	"a = 9223372036854775808\n", "a = 012\n", "a = 1.5\nb = inf\nc = nan\nd = 1e6\n", "a = 2021-01-02\nb = 07:32:00\nc = 2021-01-02T03:04:05Z\nd = 2021-01-02T03:04:05\n",
	"a = 2021-13-02\n", "a = [1, \"b\", [true, {c = []}]]\n", "a = [\n  1, # one\n  2,\n]\n", "a = \"\"\"\nb\nc\"\"\"\nd = '''\ne\n'''\nf = 1\n", "a = \"\\u00e9\\n\"\n",
	"a = 1\r\nb = 2\r\n", "a = \xff\n", "# \xff\n", "a = 1 b = 2\n", "[a", "a", "a =", "[[a]\n", "a = {\n}\n", "a = {b = 1,}\n", "[a]\nb = 1\n[a.b]\n", "[a.b]\n[a]\nb = 1\n",
	"[a]\nb = 1\n[[a.b]]\n", "[a.b]\nc = 1\n[[a.b]]\n", "[[a]]\n[a.b]\n[a.b]\n", "[[a]]\nb = 1\nb = 2\n", "a.b = 1\n[[a.c]]\nd = 1\n", "a.b = 1\n[a.c]\nd = 1\n", "[a]\n[a.b]\nc = 1\n[a.d]\n",
}

// TestNodes compares the nodes of all test files and of unusual ones with the decoder's values.
func TestNodes(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(golden, "*", "*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range append(paths, example) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) { sameAsDecoder(t, data) })
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) { sameAsDecoder(t, []byte(m.file)) })
	}
	for _, text := range unusual {
		t.Run(text, func(t *testing.T) { sameAsDecoder(t, []byte(text)) })
	}
}
