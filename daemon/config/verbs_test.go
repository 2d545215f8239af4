package config

import (
	"slices"
	"testing"

	"tokend/protocol"
)

// TestVerbsComplete checks that rules accept exactly the protocol's verbs.
func TestVerbsComplete(t *testing.T) {
	var want []string
	for _, v := range protocol.Verbs() {
		want = append(want, v.String())
	}
	if !slices.Equal(verbs, want) {
		t.Errorf("\n got: %q\nwant: %q", verbs, want)
	}
}

// TestUngrantableVerbs checks that a rule with an operator's verb is an error.
func TestUngrantableVerbs(t *testing.T) {
	env := Env{User: func(string) (uint32, error) { return 33, nil }}
	_, err := Parse("f", []byte("[[access]]\nusers = [\"www-data\"]\nnames = [\"*\"]\nverbs = [\"GET\", \"backup\", \"RELOAD\"]\n"), env)
	const want = "f:4: [[access]] verbs: BACKUP cannot be granted: a backup contains every credential; only root and tokend's own user may use it\n" +
		"f:4: [[access]] verbs: RELOAD cannot be granted: a reload changes the rules; only root and tokend's own user may use it"
	if err == nil || err.Error() != want {
		t.Errorf("\n got: %v\nwant: %s", err, want)
	}
}
