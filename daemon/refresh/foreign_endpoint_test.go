package refresh

import (
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// TestEndpointOfOtherSettings: a host on which a secret was changed stores what WeChat has refused
// it. The hold of a host with the former secret continues.
func TestEndpointOfOtherSettings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wx := newPlatform("wxa")
		calls := wx.counted(func() error { return refusal(45009, fetchers.QuotaMinute) })
		r := sharedPlatform(t, &peers{}, wx)
		_, err := r.exchangeIn(time.Minute)
		mustReason(t, err, credential.Limited)
		now := r.clock.Now()
		other := r.keepHold(platform+exchanges, &hold{reason: credential.Refused, class: fetchers.Misconfigured, message: "errcode=40001",
			failures: 1, settings: "other", since: now, until: now.Add(time.Hour)})
		other.Revision = 9
		r.Follow(other)
		before := calls()
		_, err = r.exchangeIn(time.Minute)
		mustReason(t, err, credential.Limited)
		if calls() != before {
			t.Errorf("%d calls in the hold", calls()-before)
		}
	})
}
