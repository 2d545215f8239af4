package catalog

import (
	"fmt"
	"testing"
	"time"
	"tokend/fetchers"
)

// TestCallsCounted checks that answered, refused and failed calls are counted. Errcodes beyond the
// maximum number are counted together.
func TestCallsCounted(t *testing.T) {
	c := NewCalls()
	c.observe("/a", 7*time.Millisecond, nil)
	c.observe("/a", 10*time.Millisecond, &fetchers.APIError{Code: 40001})
	c.observe("/a", time.Minute, &fetchers.TransportError{})
	for i := range 100 {
		c.observe("/b", 20*time.Millisecond, fmt.Errorf("wrapped: %w", &fetchers.APIError{Code: 50000 + i}))
	}
	a, b := c.Endpoints()[0], c.Endpoints()[1]
	if a.OK != 1 || a.Refused != 1 || a.Unreachable != 1 || a.Took != time.Minute+17*time.Millisecond || a.Buckets[0] != 2 || a.Calls() != 3 {
		t.Errorf("got %+v", a)
	}
	sum := int64(0)
	for _, n := range a.Buckets {
		sum += n
	}
	if sum != 2 {
		t.Errorf("in the buckets: got %d, want the two calls below the last bound", sum)
	}
	if len(b.Codes) != maxCodes+1 || b.Codes[0].ErrCode != 0 || b.Codes[0].N != 100-maxCodes || b.Buckets[1] != 100 {
		t.Errorf("got %d errcodes, the first %+v", len(b.Codes), b.Codes[0])
	}
}
