package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/config"
	"tokend/daemon/page/chromium"
	"tokend/fetchers/wechattest"
)

// browserSite returns a running daemon with many accounts, and the address of its pages.
func browserSite(t *testing.T) (s *platformSite, base string) {
	t.Helper()
	s, file := newPlatformSite(t)
	var text strings.Builder
	for i := range 70 {
		fmt.Fprintf(&text, "[[mini_program]]\napp_id = \"wxmany%02d\"\nsecret = \"%s-many\"\n", i, secretCanary)
	}
	more := s.config(fmt.Sprintf(platformsTOML, freePort(t)) + text.String())
	more.HTTP = file.HTTP
	more.Pages = &config.Pages{Listen: "127.0.0.1:0"}
	d := s.start(more)
	<-d.engine.Loaded()
	return s, "http://" + d.pages.addr().String() + "/"
}

// TestBrowser uses the status page in Chromium: the filter, a family, a credential and its history,
// the keyboard, a live change of a state. The page makes no request to elsewhere and causes no
// message of the console.
func TestBrowser(t *testing.T) {
	b := chromium.Start(t)
	s, base := browserSite(t)
	const name = "mini_program/wxmany07/access_token"
	value := s.get(name)
	tab := b.Open(1280, 900, "light")
	rows := func() string { return tab.Eval(`document.querySelectorAll("tr.credential").length`) }
	tab.Go(base + "?lang=en")
	tab.Until(`document.querySelector(".mode.live") !== null`)
	if got := rows(); got != "0" {
		t.Errorf("at first: got %s rows, want only families", got)
	}

	// A family by the keyboard, without a new document.
	tab.Eval(`window.same = true; document.querySelector("#f-mini_program a").focus()`)
	tab.Key("Enter")
	tab.Until(`document.querySelectorAll("tr.credential").length === 70`)
	tab.Until(`document.activeElement.closest("#list") !== null`)
	if got := tab.Eval(`window.same === true && document.querySelector("#f-mini_program a").getAttribute("aria-expanded")`); got != `"true"` {
		t.Errorf("an open family: got %s", got)
	}
	if got := tab.Eval(`getComputedStyle(document.querySelector("#list thead th")).position`); got != `"sticky"` || tab.Eval(`document.querySelectorAll("#list thead").length`) != "1" {
		t.Errorf("the head of the table is %s", got)
	}

	// The filter.
	tab.Eval(`document.querySelector("#q").focus()`)
	tab.Type("wxmany07")
	tab.Until(`document.querySelectorAll("tr.credential").length === 1 && location.search.includes("wxmany07")`)
	if got := tab.Eval(`document.activeElement.id`); got != `"q"` {
		t.Errorf("after a filter the focus is at %s", got)
	}

	// A live change: the next refresh fails.
	clear := s.wechat.Inject(wechattest.Fault{Endpoint: "/cgi-bin/stable_token", Code: 40125, Msg: "invalid appsecret"})
	_, _ = s.client.Reject(t.Context(), name, clientlib.Secret(value))
	began := time.Now()
	tab.Until(fmt.Sprintf(`document.getElementById("c-%s").textContent.includes("40125")`, name))
	tab.Until(`document.querySelector("#attention article") !== null && document.querySelector("#verdict").className.includes("bad")`)
	t.Logf("a change was shown after %v", time.Since(began).Round(10*time.Millisecond))
	tab.Until(fmt.Sprintf(`document.querySelector("#feed li.failed a")?.textContent === "%s"`, name))
	if got := tab.Eval(`document.querySelector("#attention .copy").hidden`); got != "false" {
		t.Error("the command of an advice cannot be copied")
	}
	clear()
	if _, err := s.client.Refresh(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	tab.Until(`document.querySelector("#verdict").textContent !== "" && !document.getElementById("attention").textContent.includes("wxmany07")`)

	// The page of the credential.
	tab.Eval(`document.querySelector("tr.credential a").click()`)
	tab.Until(`document.querySelector("h1.name") !== null && document.querySelectorAll("svg.line .mark").length >= 3`)
	tab.Until(`document.querySelector(".mode.live") !== null`)
	if got := tab.Eval(`document.body.innerText`); strings.Contains(got, value) || strings.Contains(got, s.get(name)) {
		t.Error("the page shows a value")
	}
	tab.Go(base + "?lang=zh&family=work")
	if got := tab.Eval(`document.documentElement.lang`); got != `"zh"` {
		t.Errorf("language: got %s", got)
	}
	if faults := tab.Faults(); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	if foreign := tab.Foreign(base); len(foreign) > 0 {
		t.Errorf("requests to elsewhere: %q", foreign)
	}
}

// TestBrowserWithoutScripts uses the page without its script: the filter by a form, a family by a
// link, a reload by itself.
func TestBrowserWithoutScripts(t *testing.T) {
	b := chromium.Start(t)
	_, base := browserSite(t)
	tab := b.Open(390, 844, "dark")
	tab.Scripts(false)
	tab.Go(base)
	tab.Scripts(true) // for the test's own expressions; the document has none running
	if got := tab.Eval(`document.querySelector("#mode").className`); got != `"mode"` {
		t.Fatalf("the script runs: %s", got)
	}
	tab.Eval(`document.querySelector("#q").value = "wxmany42"; document.querySelector("#filter button").click()`)
	tab.Until(`location.search.includes("q=wxmany42") && document.querySelectorAll("tr.credential").length === 1`)
	tab.Eval(`document.querySelector("#f-mini_program a").click()`)
	tab.Until(`location.search.includes("family=mini_program")`)
	if got := tab.Eval(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`); got != "true" {
		t.Error("a phone must scroll sideways")
	}
}

// TestAccessible checks the pages with axe, whose script the environment variable AXE names. It
// finds missing labels, low contrast, wrong roles and more.
func TestAccessible(t *testing.T) {
	path := os.Getenv("AXE")
	if path == "" {
		t.Skip("AXE does not name axe.min.js of the npm package axe-core")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := chromium.Start(t)
	s, base := browserSite(t)
	clear := s.wechat.Inject(wechattest.Fault{Endpoint: "/cgi-bin/stable_token", Code: 60020, Msg: "not allow to access from your ip"})
	defer clear()
	for i := range 3 {
		_, _ = s.client.Get(t.Context(), fmt.Sprintf("mini_program/wxmany%02d/access_token", i))
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, path := range []string{"?lang=en&family=mini_program", "?lang=zh&state=attention", "credential?lang=en&q=mini_program/wxmany01/access_token", "credential?lang=zh&q=none"} {
			tab := b.Open(1280, 900, scheme)
			tab.Go(base + path)
			tab.Eval(string(axe))
			got := tab.Eval(`axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).slice(0, 3).join(" ")))`)
			if got != "[]" {
				t.Errorf("%s, %s: %s", path, scheme, got)
			}
		}
	}
}
