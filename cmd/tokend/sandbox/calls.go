package sandbox

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"tokend/fetchers/wechattest"
)

// calls prints each call and each push as it ends, and counts them.
type calls struct {
	w io.Writer

	mu     sync.Mutex
	count  map[line]int
	total  int
	pushes int
}

// line is a line of the summary.
type line struct{ endpoint, account string }

func newCalls(w io.Writer) *calls { return &calls{w: w, count: map[line]int{}} }

// note is a [wechattest.Settings.OnCall].
func (c *calls) note(call wechattest.Call) {
	account := shown(call.Account)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	c.count[line{call.Endpoint, account}]++
	fmt.Fprintf(c.w, "%s  %-38s %-24s %s, %s\n", call.At.Format("15:04:05.000"), call.Endpoint, account,
		answered(call), call.Took.Round(100*time.Microsecond))
}

// notePush records a push.
func (c *calls) notePush(d wechattest.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushes++
	what := "push of " + d.Kind
	c.count[line{what, d.Owner}]++
	fmt.Fprintf(c.w, "%s  %-38s %-24s %s, %s\n", d.At.Format("15:04:05.000"), what, d.Owner, taken(d), d.Took.Round(100*time.Microsecond))
}

// answered describes the answer to a call.
func answered(call wechattest.Call) string {
	switch {
	case call.Trouble != "":
		return call.Trouble
	case call.ErrCode != 0:
		return "errcode " + strconv.Itoa(call.ErrCode)
	case call.Issued:
		return "a new value"
	}
	switch call.Endpoint {
	case wechattest.PermanentCode, wechattest.PermanentCodeV2:
		return "a grant"
	case wechattest.AuthorizerList:
		return "a list"
	case wechattest.StartPush, wechattest.Probe:
		return "done"
	}
	return "the same value again"
}

// shown returns an id in a form that is safe for a terminal. The id of a call may be anything, and
// a client that mixes up its fields sends its secret as the id.
func shown(id string) string {
	if id == "" {
		return "-"
	}
	parts := strings.Split(id, "/") // at most corp, app and downstream corp
	if len(parts) > 3 || slices.ContainsFunc(parts, func(p string) bool { return len(p) > 40 }) ||
		strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("(no id: %d bytes)", len(id))
	}
	return id
}

// summary prints the number of calls and pushes for each account and kind.
func (c *calls) summary() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := tabwriter.NewWriter(c.w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "\ncalls in all\t\t%d\n", c.total)
	fmt.Fprintf(t, "pushes in all\t\t%d\n", c.pushes)
	for _, l := range c.sorted() {
		fmt.Fprintf(t, "%s\t%s\t%d\n", l.endpoint, l.account, c.count[l])
	}
	return t.Flush()
}

// sorted returns the lines of the summary in order. The caller holds c.mu.
func (c *calls) sorted() []line {
	lines := make([]line, 0, len(c.count))
	for l := range c.count {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.endpoint, b.endpoint), cmp.Compare(a.account, b.account))
	})
	return lines
}

// serve answers the total number of calls, and a line "<endpoint> <account> <calls>" for each
// endpoint and account. It leaves out pushes.
func (c *calls) serve(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintf(w, "total %d\n", c.total) // the caller may have gone
	for _, l := range c.sorted() {
		if strings.HasPrefix(l.endpoint, "/") {
			_, _ = fmt.Fprintf(w, "%s %s %d\n", l.endpoint, l.account, c.count[l])
		}
	}
}
