package refresh

import (
	"fmt"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestHoldOutlived: another host stores that WeChat has refused a customer's grant. Before this
// host knows of that, it stores the grant of a new authorization, so the hold is not deleted. It
// holds nobody, also if the customer is requested for the first time.
func TestHoldOutlived(t *testing.T) {
	for _, requested := range []bool{false, true} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("requested before %v, refused later %v", requested, later), func(t *testing.T) {
				bubble(t, func(t *testing.T) { testHoldOutlived(t, requested, later) })
			})
		}
	}
}

func testHoldOutlived(t *testing.T, requested, later bool) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	r := sharedPlatform(t, &peers{}, newPlatform("wxa"))
	r.mustPut(grant, "grant")
	if requested {
		r.mustGet(name)
	}
	spec, _ := r.lookup(name)
	refused := r.keepHold(name, &hold{reason: credential.Reauth, class: fetchers.GrantRefused, message: "errcode=61023",
		failures: 1, settings: spec.Settings, since: r.clock.Now(), until: never})
	refused.Revision = 9
	stored, err := r.cfg.Store.Get(record.Grants, grant)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Revision = 10; later {
		stored.Revision = 8
	}
	r.Follow(stored)
	r.Follow(refused)
	if requested { // as at a start
		h, err := record.DecodeHold(refused)
		if err != nil {
			t.Fatal(err)
		}
		r.loadHold(h)
	}
	time.Sleep(3 * time.Hour)
	if _, err := r.get(name); (reason(err) == credential.Reauth) != later {
		t.Errorf("got %v", err)
	}
}
