package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
)

// everyFamily is an account of each family without customers.
const everyFamily = `
[[official_account]]
app_id = "wxstable"
secret = "s"
[[mini_program]]
app_id = "wxrotating"
secret = "s"
use_stable_access_token = false
[[work]]
corp_id = "wwcorp"
agent_id = "1"
secret = "s"
downstream = [{ corp_id = "wwdown", agent_id = "5" }]
`

// TestLimitsDocumented checks that docs/errcodes.md, in every language, has a row with the limit
// and the hours of every budget, except the configured one.
func TestLimitsDocumented(t *testing.T) {
	file, err := config.Parse("test.toml", []byte(everyFamily+catalogtest.TOML), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	c := New(file, &Upstream{}, nil)
	policies := map[*policy.Policy]bool{}
	for s := range c.Specs() {
		policies[s.Policy] = true
	}
	for path, p := range c.platforms {
		for _, word := range p.dependants() {
			s, err := c.Lookup(path + "/child/" + word)
			if err != nil {
				t.Fatal(err)
			}
			policies[s.Policy] = true
		}
	}
	var budgets []quota.Budget
	for p := range policies {
		budgets = append(append(budgets, p.Budgets...), p.Forced...)
	}
	for _, h := range Hosts(nil) {
		if h.Faults != nil {
			budgets = append(budgets, *h.Faults)
		}
	}
	if len(policies) != 16 || len(budgets) < 10 {
		t.Errorf("got %d policies with %d budgets, want all kinds but the two grants", len(policies), len(budgets))
	}
	for _, page := range []string{"../../docs/errcodes.md", "../../docs/zh/errcodes.md"} {
		text, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(page, "/zh/") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range budgets {
			limit, hours := fmt.Sprintf(`\b%d\b`, b.Limit), fmt.Sprintf(`\b%d\b`, int(b.Window.Hours()))
			row := regexp.MustCompile(`(?m)^\|[^|]*\|([^|]*` + limit + `[^|]*` + hours + `|[^|]*` + hours + `[^|]*` + limit + `)[^|]*\|$`)
			if b.Word != "pre_auth_code" && !row.Match(text) {
				t.Errorf("%s lacks the limit of %s: %d in %v", page, b.Calls, b.Limit, b.Window)
			}
		}
	}
}
