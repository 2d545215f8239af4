package simulation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
	"tokend/fetchers/wechattest"
)

// The accounts of all hosts.
const (
	rotatingApp = "wxrotating"
	stableApp   = "wxstable"
	corp        = "wwcorp"
	downstream  = "wwdownstream"
	component   = "wxcomponent"
	suiteID     = "wwsuite1"

	rotatingToken  = "official_account/" + rotatingApp + "/access_token"
	platform       = "open_platform/" + component
	componentToken = platform + "/component_access_token"
	verifyTicket   = platform + "/component_verify_ticket"
	suite          = "open_work/" + suiteID
	suiteTicket    = suite + "/suite_ticket"

	firstCustomer  = platform + "/wxcustomer1/access_token"
	secondCustomer = platform + "/wxcustomer2/access_token"
	corpCustomer   = suite + "/wwcustomer/access_token"
)

// customer is a customer of the platform or of the suite.
type customer struct {
	owner, id string // owner as WeChat names it
	path      string // of its credentials
	word      string // of its grant
}

func (c customer) grant() string { return c.path + "/" + c.word }

// ownerPath is the owner as tokend names it.
func (c customer) ownerPath() string { return strings.TrimSuffix(c.path, "/"+c.id) }

var customers = []customer{
	{component, "wxcustomer1", platform + "/wxcustomer1", "refresh_token"},
	{component, "wxcustomer2", platform + "/wxcustomer2", "refresh_token"},
	{suiteID, "wwcustomer", suite + "/wwcustomer", "permanent_code"},
}

// someNames are what clients may read besides the first customer's token: all kinds of credentials.
var someNames = []string{
	rotatingToken, rotatingToken, secondCustomer, platform + "/wxcustomer1/jsapi_ticket", platform + "/pre_auth_code",
	"official_account/" + stableApp + "/access_token", "official_account/" + stableApp + "/jsapi_ticket",
	"work/" + corp + "/7/access_token", "work/" + corp + "/7/jsapi_ticket", "work/" + corp + "/7/" + downstream + "/access_token",
	"open_work/wwprovider/provider_access_token", suite + "/suite_access_token", corpCustomer,
}

// repeats reports whether WeChat repeats the value of a credential.
func repeats(name string) bool {
	return !slices.Contains([]string{rotatingToken, componentToken, firstCustomer, secondCustomer}, name)
}

// configured returns the configuration of a host.
var configured = func() func(odd oddity) *config.Config {
	var mu sync.Mutex
	parsed := map[oddity]*config.Config{}
	return func(odd oddity) *config.Config {
		mu.Lock()
		defer mu.Unlock()
		if parsed[odd] == nil {
			file, err := config.Parse("host.toml", []byte(accountsTOML(odd)), config.OSEnv())
			if err != nil {
				panic(err)
			}
			parsed[odd] = file
		}
		return parsed[odd]
	}
}()

func accountsTOML(odd oddity) string {
	secret, timeout := "rotating-secret", "5s"
	if odd == otherSecret {
		secret = "another-secret"
	}
	if odd == longTimeout {
		timeout = "8s"
	}
	s := fmt.Sprintf(`
[upstream]
timeout = %q
[limits]
pre_auth_codes_per_hour = 20
[[official_account]]
app_id = %q
secret = "stable-secret"
[[work]]
corp_id = %q
agent_id = "7"
secret = "corp-secret"
[[work.downstream]]
corp_id = %q
agent_id = "8"
business_type = 0
`, timeout, stableApp, corp, downstream)
	if odd != lacksAccount {
		s += fmt.Sprintf("[[official_account]]\napp_id = %q\nsecret = %q\nuse_stable_access_token = false\n", rotatingApp, secret)
	}
	return s + catalogtest.TOML
}

// newFake returns a WeChat with the accounts. Refresh tokens rotate with every call, unless the
// plan has them repeated. Its list does not show the customers, because a grant that only the list
// still has was lost.
func newFake(p *plan, counted func(wechattest.Call)) *wechattest.WeChat {
	w := wechattest.New(wechattest.Settings{
		Lifetime: p.life, Overlap: overlap, RotateEachCall: !p.repeats, Seed: p.seed | 1, OnCall: counted,
		Limits: wechattest.Limits{StablePerMinute: -1, StablePerDay: -1},
	})
	w.AddAccount(rotatingApp, "rotating-secret")
	w.AddAccount(stableApp, "stable-secret")
	w.AddApp(corp, "7", "corp-secret")
	w.AddDownstream(corp, "7", downstream, 8, 0)
	catalogtest.AddOwners(w, "http://tokend/callback/")
	for _, c := range []string{component, suiteID} {
		w.SetCallback(c, "") // the hosts get pushes directly
	}
	return w
}

// overlap is how long WeChat accepts a value that was replaced.
const overlap = 5 * time.Minute
