package fetchers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestDownstreamReactions tests the errcodes whose meaning differs at this endpoint: the call has
// no secret, and its parameters come from the configuration.
func TestDownstreamReactions(t *testing.T) {
	for code, want := range map[int]Reaction{
		40001: ParentDead, 40014: ParentDead, 42001: ParentDead, 42009: ParentDead,
		40013: Misconfigured, 40056: Misconfigured, 40058: Misconfigured, 301002: Misconfigured,
		45009: QuotaMinute, 45033: Retry, 60020: AddressRefused,
	} {
		c := &Client{Transport: answering(200, strings.NewReader(fmt.Sprintf(`{"errcode":%d,"errmsg":"x"}`, code)))}
		_, err := DownstreamToken{c, "ww02", 1, 0}.Fetch(t.Context(), Ask{Parent: canaryParent})
		if e, ok := errors.AsType[*APIError](err); !ok || e.Reaction != want {
			t.Errorf("%d: got %v, want %v", code, err, want)
		}
	}
}
