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
