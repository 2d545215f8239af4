package config

import (
	"slices"

	"tokend/daemon/alias"
)

// aliases returns the aliases of the Redis endpoint, in the order of the file.
func (t *table) aliases() []alias.Alias {
	r := t.table("redis")
	if r == nil {
		return nil
	}
	defer r.done()
	var all []alias.Alias
	lines := map[string]int{} // by key
	for _, t := range r.tables("redis.", "alias") {
		a := alias.Alias{Key: t.required("key"), Name: t.required("name"), Form: t.text("value", alias.DefaultForm), Line: t.line}
		t.done()
		mistakes := alias.Check(a)
		for _, key := range []string{"key", "name", "value"} {
			if _, isText := t.values[key].(string); isText && mistakes[key] != "" {
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
	return slices.Clip(all)
}

// required returns a required string.
func (t *table) required(key string) string {
	v, ok := t.require(key)
	if !ok {
		return ""
	}
	s, _ := as[string](t, key, v, "a string")
	return s
}
