package config

import (
	"slices"
	"testing"

	"tokend/protocol"
)

// A rule can grant every verb of the protocol, and no other word.
func TestVerbsAreTheProtocols(t *testing.T) {
	var want []string
	for _, v := range protocol.Verbs() {
		want = append(want, v.String())
	}
	if !slices.Equal(verbs, want) {
		t.Errorf("\n got: %q\nwant: %q", verbs, want)
	}
}

// But for those that no names can bound: who writes one into a rule is told.
func TestOperatorsVerbsCannotBeGranted(t *testing.T) {
	env := Env{User: func(string) (uint32, error) { return 33, nil }}
	_, err := Parse("f", []byte("[[access]]\nusers = [\"www-data\"]\nnames = [\"*\"]\nverbs = [\"GET\", \"backup\", \"RELOAD\"]\n"), env)
	const want = "f:4: [[access]] verbs: BACKUP cannot be granted: it holds every name, and is for root and tokend's own user\n" +
		"f:4: [[access]] verbs: RELOAD cannot be granted: it changes the rules, and is for root and tokend's own user"
	if err == nil || err.Error() != want {
		t.Errorf("\n got: %v\nwant: %s", err, want)
	}
}
