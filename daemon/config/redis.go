package config

import (
	"github.com/pelletier/go-toml/v2/unstable"

	"tokend/daemon/alias"
)

// aliases returns the aliases of the Redis endpoint, in the order of the file.
func (t *table) aliases() []alias.Alias {
	r := t.table("redis")
	if r == nil {
		return nil
	}
	defer r.done()
	n, tables := r.tables("redis.", "alias")
	all := make([]alias.Alias, 0, n)
	lines := map[string]int{} // by key
	for t := range tables {
		a := alias.Alias{Key: t.required("key"), Name: t.required("name"), Form: t.text("value", alias.DefaultForm), Line: t.at()}
		t.done()
		mistakes := alias.Check(a)
		for _, key := range []string{"key", "name", "value"} {
			if v := t.value(key); v != nil && v.kind == unstable.String && mistakes[key] != "" {
				t.problemf(key, "%s", mistakes[key])
			}
		}
		same := alias.Same(a.Key)
		if line := lines[same]; line > 0 && a.Key != "" {
			t.problemf("key", "%q is already on line %d: the first alias that matches applies", clip(a.Key), line)
			continue
		}
		lines[same] = t.lineOf("key")
		all = append(all, a)
	}
	return all
}

// required returns a required string.
func (t *table) required(key string) string {
	if v := t.require(key); v != nil && t.is(unstable.String, key, v, "a string") {
		return string(v.text)
	}
	return ""
}
