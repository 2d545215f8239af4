package sdktest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/clientlib/manual"
)

// The runners of this package take all blocks of their language from the manual. They run each page
// against a site of its own. Code from before tokend fetches from the sandbox by itself, with the
// secret that it contains. All other code must fetch nothing.

// manualBlocks returns the blocks in a language, by page.
func manualBlocks(t *testing.T, language string) map[string][]manual.Block {
	t.Helper()
	all, err := manual.Blocks(os.DirFS("../../docs"), language)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("the manual has no %s", language)
	}
	pages := map[string][]manual.Block{}
	for _, b := range all {
		pages[b.Page] = append(pages[b.Page], b)
	}
	return pages
}

// chapter is a page of the manual with a site that has the page's aliases.
type chapter struct {
	*site
	proxy, root string            // to the sandbox, see upstream
	words       *strings.Replacer // what the page takes for the site's
}

// cached are the credentials that a page reads.
var cached = []string{
	officialToken, "official_account/wxsandboxofficial/jsapi_ticket", miniToken,
	"work/wwsandboxcorp/1000002/access_token", "work/wwsandboxcorp/1000002/jsapi_ticket",
	"work/wwsandboxcorp/1000002/agent_config_ticket",
}

func newChapter(t *testing.T, page string) *chapter {
	t.Helper()
	var aliases string
	for _, b := range manualBlocks(t, "toml")[page] {
		if strings.HasPrefix(b.Text, "[[redis.alias]]") {
			aliases += b.Text
		}
	}
	c := &chapter{site: newSiteWith(t, "127.0.0.1:1", aliases)}
	c.proxy, c.root = c.upstream(t)
	clients, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	c.words = strings.NewReplacer(
		"/usr/share/tokend/", clients+"/", // as the packages install them
		"/run/tokend/tokend.sock", c.tokens.Client.Socket,
		"/tmp/wx/tokend.sock", c.tokens.Client.Socket, // of the sandbox's daemon
		"127.0.0.1:8712", strings.TrimPrefix(c.url, "http://"), // the sandbox
		"127.0.0.1:6379", startRedis(t, page),
		"mini_program/wx0123456789abcdef", "mini_program/wxsandboxmini",
		"wx0123456789abcdef", "wxsandboxofficial",
		"ww0123456789abcdef", "wwsandboxcorp",
		"0123456789abcdef0123456789abcdef", "sandbox-secret-of-the-official-account",
		"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "sandbox-secret-of-app-1000002",
	)
	return c
}

// begin makes tokend fetch what the page reads. The page must run at once: tokend does not replace
// a value for a client if it is less than 10 s old.
func (c *chapter) begin(t *testing.T) {
	t.Helper()
	for _, name := range cached {
		mustGet(t, c.site, name)
	}
}

// startRedis starts a Redis if the page connects to one, and returns its address.
func startRedis(t *testing.T, page string) string {
	t.Helper()
	const usual = "127.0.0.1:6379"
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), usual) {
		return usual
	}
	addr := freeAddress(t)
	_, port, _ := strings.Cut(addr, ":")
	startProgram(t, t.TempDir(), find(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	until(t, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return addr
}

// hold runs a block. A block that uses tokend must cause no call to WeChat for a token. A block
// from before tokend must cause one.
func (c *chapter) hold(t *testing.T, b manual.Block, run func()) {
	t.Helper()
	calls, own := c.calls(), c.fetched()
	run()
	calls, own = c.calls()-calls, c.fetched()-own
	switch {
	case b.Before && own == 0:
		t.Errorf("%s: the code from before tokend fetched nothing", b)
	case !b.Before && (own != 0 || calls != 0):
		t.Errorf("%s: the code fetched %d times, and the sandbox counts %d more calls", b, own, calls)
	}
}
