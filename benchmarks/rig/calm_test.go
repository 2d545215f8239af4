//go:build linux

package rig

import "testing"

// TestCalm holds that each look is counted, and tests the text.
func TestCalm(t *testing.T) {
	var c Calm
	if got := c.String(); got != "" {
		t.Errorf("without a look: %q", got)
	}
	c.Look()
	if len(c.took) != 1 || c.took[0] <= 0 {
		t.Errorf("after one look: %v", c.took)
	}
	c.took = []float64{300, 150, 100, 120}
	const want = "calm      the same work took 1.35 times its quickest, the worst of 4 times 3.00; 1.00 is a machine without other users"
	if got := c.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c.took[0] != 300 {
		t.Errorf("the measurements were sorted: %v", c.took)
	}
}
