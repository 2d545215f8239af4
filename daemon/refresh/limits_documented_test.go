package refresh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"tokend/daemon/quota"
)

// TestLimitsDocumented holds that docs/errcodes.md, in every language that it is in, has a row with
// the limit and the hours of every budget, except of the one that is configured.
func TestLimitsDocumented(t *testing.T) {
	budgets := []quota.Budget{{Calls: "calls that WeCom refuses", Limit: faultsLimit, Window: time.Hour}}
	for _, p := range policies {
		budgets = append(append(budgets, p.budgets...), p.forced...)
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
