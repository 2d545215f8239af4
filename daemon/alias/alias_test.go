package alias

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// find returns the name for key in the only alias, and whether there is one.
func find(t *testing.T, all []Alias, key string) (name string, form *Form, ok bool) {
	t.Helper()
	b, form, ok := Compile(all).Find(nil, []byte(key))
	return string(b), form, ok
}

func TestFind(t *testing.T) {
	const token = "official_account/{app_id}/access_token"
	for _, c := range []struct{ pattern, name, key, want string }{
		{"gowechat_officialaccount__access_token_{app_id}", token, "gowechat_officialaccount__access_token_wx1", "official_account/wx1/access_token"},
		{"wx:{app_id}:token", token, "wx:wx1:token", "official_account/wx1/access_token"},
		{"wx:{app_id}:token", token, "wx::token", ""},
		{"wx:{app_id}:token", token, "wx:wx1:tokens", ""},
		{"wx:{app_id}:token", token, "wx:wx1:x:token", ""},
		{"{app_id}_token", token, "wx1_token", "official_account/wx1/access_token"},
		{"{app_id}_token", token, "_token", ""},
		{"{app_id}_token", token, "__token", "official_account/_/access_token"},
		{"{app_id}_token", token, "my_app_token", ""}, // the placeholder ends at the first _
		{"{corp}.{agent}", "work/{corp}/{agent}/access_token", "ww1.1000002", "work/ww1/1000002/access_token"},
		{"t.{agent}.{corp}", "work/{corp}/{agent}/access_token", "t.1000002.ww1", "work/ww1/1000002/access_token"},
		{"easy.{app_id}.*", token, "easy.wx1.0123456789abcdef", "official_account/wx1/access_token"},
		{"easy.{app_id}.*", token, "easy.wx1.", "official_account/wx1/access_token"},
		{"easy.{app_id}.*", token, "easy.wx1", ""},
		{"easy.{app_id}.*", token, "easy.wx1." + strings.Repeat("s", 400), "official_account/wx1/access_token"},
		{"one", "official_account/wx1/access_token", "one", "official_account/wx1/access_token"},
		{"one", "official_account/wx1/access_token", "ones", ""},
		{"one", "official_account/wx1/access_token", "on", ""},
		{"one", "official_account/wx1/access_token", "", ""},
		{"k{app_id}", token, "k" + strings.Repeat("x", 64), "official_account/" + strings.Repeat("x", 64) + "/access_token"},
		{"k{app_id}", token, "k" + strings.Repeat("x", 65), ""},
		{"k{app_id}", token, "ka/b", ""},
		{"k{app_id}", token, "ka b", ""},
	} {
		a := Alias{Key: c.pattern, Name: c.name, Form: DefaultForm}
		if m := Check(a); len(m) > 0 {
			t.Fatalf("%s: %v", c.pattern, m)
		}
		if got, form, ok := find(t, []Alias{a}, c.key); ok != (c.want != "") || ok && (got != c.want || !form.Plain()) {
			t.Errorf("%s, key %s: got %q, %v; want %q", c.pattern, c.key, got, ok, c.want)
		}
	}
}

// TestFirstMatchWins compares the index with a walk through all aliases.
func TestFirstMatchWins(t *testing.T) {
	keys := []string{"a", "ab", "abc", "ab{x}", "a{x}", "abc{x}", "{x}", "b{x}c", "bc", "*", "a*", "abcd*", "c:{x}:*", "c:*"}
	probes := []string{"", "a", "ab", "abc", "abcd", "abx", "ax", "b", "bc", "bxc", "c:", "c:1:2", "c:1", "zz", "a b"}
	for shift := range keys {
		var all []Alias
		for i := range keys {
			k := keys[(i*5+shift)%len(keys)]
			all = append(all, Alias{Key: k, Name: fmt.Sprintf("official_account/n%d/access_token", i), Form: DefaultForm})
		}
		table := Compile(all)
		for _, probe := range probes {
			want := ""
			for _, a := range all {
				if name, _, ok := find(t, []Alias{a}, probe); ok {
					want = name
					break
				}
			}
			got, _, ok := table.Find(nil, []byte(probe))
			if ok != (want != "") || string(got) != want {
				t.Errorf("shift %d, key %q: got %q, want %q", shift, probe, got, want)
			}
		}
	}
	if _, _, ok := (*Table)(nil).Find(nil, []byte("a")); ok {
		t.Error("a nil table has an alias")
	}
}

func TestForm(t *testing.T) {
	const hour = time.Hour
	soon := time.Now().Add(hour).Unix()
	for form, want := range map[string]string{
		"{value}":            `v"\1`,
		"{json}":             `"v\"\\1"`,
		"s:{bytes}:{value};": `s:4:v"\1;`,
		`{{"t":{json},"e":{expires_at},"x":{ttl}}}`: fmt.Sprintf(`{"t":"v\"\\1","e":%d,"x":3600}`, soon),
		"}}{{":     "}{",
		"constant": "constant",
	} {
		f, mistake := parseForm(form)
		if mistake != "" {
			t.Fatalf("%s: %s", form, mistake)
		}
		got := string(f.Append(nil, `v"\1`, hour))
		if later := strings.ReplaceAll(want, fmt.Sprint(soon), fmt.Sprint(soon+1)); got != want && got != later {
			t.Errorf("%s: got %s, want %s", form, got, want)
		}
		if v, ok := f.Value(got); ok != strings.ContainsAny(form, "vj") || ok && v != `v"\1` {
			t.Errorf("%s: the value of %s is %q, %v", form, got, v, ok)
		}
		if strings.HasPrefix(form, "{{") && !json.Valid([]byte(got)) {
			t.Errorf("%s: %s is not JSON", form, got)
		}
	}
	f, _ := parseForm(`{{"t":{json}}}`)
	for _, wrong := range []string{"", "x", `{"t":1}`, `{"t":"a"} `, `{"t":"a"`} {
		if v, ok := f.Value(wrong); ok {
			t.Errorf("the value of %q is %q", wrong, v)
		}
	}
	if v, ok := f.Value(`{"t":"a\/b"}`); !ok || v != "a/b" {
		t.Errorf("got %q, %v", v, ok)
	}
}

func TestCheck(t *testing.T) {
	const token = "official_account/{a}/access_token"
	for _, c := range []struct {
		a         Alias
		key, want string
	}{
		{Alias{Key: "k{A}", Name: token}, "key", "unknown placeholder {A}"},
		{Alias{Key: "k{}", Name: token}, "key", "unknown placeholder {}"},
		{Alias{Key: "k{a}:{a}", Name: token}, "key", "has the placeholder {a} twice"},
		{Alias{Key: "k{a}{b}", Name: token}, "key", "between {a} and {b}"},
		{Alias{Key: "k{a}*", Name: token}, "key", "between {a} and *"},
		{Alias{Key: "k*{a}", Name: token}, "key", "has a * that is not at its end"},
		{Alias{Key: "k{a", Name: token}, "key", "has a { without a }"},
		{Alias{Key: "k{a{b}", Name: token}, "key", "has a { without a }"},
		{Alias{Key: "ka}", Name: token}, "key", "has a } without a {"},
		{Alias{Key: "", Name: token}, "key", "is empty"},
		{Alias{Key: "k\t", Name: token}, "key", "must be printable ASCII"},
		{Alias{Key: strings.Repeat("k", 256), Name: token}, "key", "has 256 bytes, the limit is 255"},
		{Alias{Key: "official_account/wx1/access_token", Name: "official_account/wx1/access_token"}, "key", "is the name of a credential"},
		{Alias{Key: "official_account/{a}/access_token", Name: token}, "key", "is the name of a credential"},
		{Alias{Key: "k{a}", Name: "official_account/{b}/access_token"}, "name", "unknown placeholder {b}"},
		{Alias{Key: "k", Name: "official_account/{b}/access_token"}, "name", "unknown placeholder {b}"},
		{Alias{Key: "k{a}", Name: "official_account/{a/access_token"}, "name", "has a { without a }"},
		{Alias{Key: "k{a}", Name: "official_accounts/{a}/access_token"}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: "official_account/{a}/token"}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: "official_account/{a}"}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: "official_account//access_token"}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: "official_account/{a} x/access_token"}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: ""}, "name", "can never be the name"},
		{Alias{Key: "k{a}", Name: token, Form: "{token}"}, "value", "unknown placeholder {token}"},
		{Alias{Key: "k{a}", Name: token, Form: "{value"}, "value", "has a { without a }"},
		{Alias{Key: "k{a}", Name: token, Form: "value}"}, "value", "has a } without a {"},
		{Alias{Key: "k{a}", Name: token, Form: strings.Repeat("x", 1025)}, "value", "has 1025 bytes, the limit is 1024"},
	} {
		got := Check(c.a)
		if len(got) != 1 || !strings.Contains(got[c.key], c.want) {
			t.Errorf("%+v: got %v, want %s: %s", c.a, got, c.key, c.want)
		}
	}
	for _, a := range []Alias{
		{Key: "k{a}", Name: "official_account/{a}/{a}_ticket"},
		{Key: "{family}:{id}:{word}", Name: "{family}/{id}/{word}"},
		{Key: "a.b:{a}", Name: "work/x{a}/1/access_token", Form: "{value}"},
		{Key: "*", Name: "official_account/wx1/access_token"},
		{Key: "official_account/{a}/token", Name: token},
	} {
		if got := Check(a); len(got) > 0 {
			t.Errorf("%+v: got %v", a, got)
		}
	}
}

func TestSame(t *testing.T) {
	if Same("k:{a}:{b}") != Same("k:{x}:{y}") || Same("k:{a}") == Same("k:{a}*") {
		t.Error("keys are compared by the words of their placeholders")
	}
}

func TestIsName(t *testing.T) {
	for key, want := range map[string]bool{
		"official_account/wx1/access_token":    true,
		"work/ww1/1/access_token":              true,
		"work/ww1/1/ww2/access_token":          true,
		"work/ww1/access_token":                false,
		"official_account/wx1/token":           false,
		"wx:official_account/wx1/access_token": false,
		"access_token":                         false,
		"":                                     false,
	} {
		if got := IsName([]byte(key)); got != want {
			t.Errorf("%s: got %v", key, got)
		}
	}
	for text, want := range map[string]bool{"": true, "off": true, "work/": true, "work/ww1/": true, "__keyspace@0__:": false, "works": false} {
		if MayName(text) != want {
			t.Errorf("MayName(%q) is %v", text, !want)
		}
	}
}

// aliases200 are 200 aliases, all of which begin alike.
func aliases200() []Alias {
	var all []Alias
	for i := range 200 {
		all = append(all, Alias{Key: fmt.Sprintf("company:wechat:token:%03d:{app_id}", i), Name: "official_account/{app_id}/access_token", Form: DefaultForm})
	}
	return all
}

func TestFindAllocatesNothing(t *testing.T) {
	table, name := Compile(aliases200()), make([]byte, 0, 255)
	key := []byte("company:wechat:token:150:wx0123456789abcdef")
	if n := testing.AllocsPerRun(100, func() {
		if _, _, ok := table.Find(name, key); !ok {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	same := aliases200()
	for i := range same {
		same[i].Key = fmt.Sprintf("token:{app_id}:%03d", i)
	}
	for name, c := range map[string]struct {
		all []Alias
		key string
	}{
		"heads differ": {aliases200(), "company:wechat:token:199:wx0123456789abcdef"},
		"tails differ": {same, "token:wx0123456789abcdef:199"},
	} {
		b.Run(name, func(b *testing.B) {
			table, dst, key := Compile(c.all), make([]byte, 0, 255), []byte(c.key)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := table.Find(dst, key); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
