package cluster

import (
	"testing"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestAdopted: a stored grant shows that a change was applied only if it has what the change has
// added, not if it has what the change was made of.
func TestAdopted(t *testing.T) {
	gens := func(values ...string) (g record.Grant) {
		for i := len(values) - 1; i >= 0; i-- {
			g.Replace(record.Generation{Value: secret.Text(values[i])})
		}
		return g
	}
	revoked := gens("r1")
	revoked.Revoked = time.Unix(1, 0)
	for _, tc := range []struct {
		name                  string
		stored, before, after record.Grant
		want                  bool
	}{
		{"rotated", gens("r2", "r1"), gens("r1"), gens("r2", "r1"), true},
		{"rotated, and again since", gens("r3", "r2", "r1"), gens("r1"), gens("r2", "r1"), true},
		{"another rotated", gens("r2", "r1"), gens("r1"), gens("r3", "r1"), false},
		{"another rotated during the call, and was followed", gens("r2", "r1"), gens("r2", "r1"), gens("r2", "r3", "r1"), false},
		{"the same, applied", gens("r4", "r2", "r3", "r1"), gens("r2", "r1"), gens("r2", "r3", "r1"), true},
		{"revoked", revoked, gens("r1"), revoked, true},
		{"not revoked", gens("r1"), gens("r1"), revoked, false},
		{"nothing changed", gens("r1"), gens("r1"), gens("r1"), false},
	} {
		if got := adopts(&tc.stored, &tc.before, &tc.after); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
