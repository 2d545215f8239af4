package chromium

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// Tab is an open page.
type Tab struct {
	b       *Browser
	target  string
	session string

	mu     sync.Mutex
	loads  int      // finished loads
	faults []string // messages of the console, exceptions and violations of the policy
	urls   []string // requested URLs
}

// Open opens a tab of a width and a height in pixels. scheme is the preferred color scheme, light
// or dark.
func (b *Browser) Open(width, height int, scheme string) *Tab {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.must("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.must("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	t := &Tab{b: b, target: target.ID, session: attached.Session}
	b.mu.Lock()
	b.tabs[t.session] = t
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		t.must(domain+".enable", struct{}{}, nil)
	}
	t.Resize(width, height)
	t.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	return t
}

// Close closes the tab.
func (t *Tab) Close() {
	t.b.t.Helper()
	t.b.must("", "Target.closeTarget", map[string]any{"targetId": t.target}, nil)
}

// must is call for a command that must succeed.
func (b *Browser) must(session, method string, params, result any) {
	b.t.Helper()
	if err := b.call(session, method, params, result); err != nil {
		b.t.Fatal(err)
	}
}

func (t *Tab) must(method string, params, result any) {
	t.b.t.Helper()
	t.b.must(t.session, method, params, result)
}

// Resize changes the size of the tab.
func (t *Tab) Resize(width, height int) {
	t.b.t.Helper()
	t.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

// Scripts turns the scripts of pages on or off.
func (t *Tab) Scripts(on bool) {
	t.b.t.Helper()
	t.must("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// event notes what a page does.
func (t *Tab) event(m message) {
	var e struct {
		Type  string `json:"type"`
		Entry struct {
			Level, Text, URL string
		} `json:"entry"`
		Args []struct {
			Value any `json:"value"`
		} `json:"args"`
		Exception struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
	}
	_ = json.Unmarshal(m.Params, &e) // events of other shapes are not needed
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		t.loads++
	case "Runtime.consoleAPICalled":
		t.faults = append(t.faults, "console: "+e.Type)
	case "Runtime.exceptionThrown":
		t.faults = append(t.faults, e.Exception.Text+" "+e.Exception.Exception.Description)
	case "Log.entryAdded":
		t.faults = append(t.faults, e.Entry.Level+": "+e.Entry.Text+" "+e.Entry.URL)
	case "Network.requestWillBeSent":
		t.urls = append(t.urls, e.Request.URL)
	}
}

// Go loads a URL and waits until it is loaded.
func (t *Tab) Go(url string) {
	t.b.t.Helper()
	before := t.loaded()
	t.must("Page.navigate", map[string]any{"url": url}, nil)
	t.wait("load "+url, func() bool { return t.loaded() > before })
}

func (t *Tab) loaded() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loads
}

// wait waits until done returns true.
func (t *Tab) wait(what string, done func() bool) {
	t.b.t.Helper()
	for deadline := time.Now().Add(timeout); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.b.t.Fatalf("chromium: %s: not done after %v; faults: %q", what, timeout, t.Faults())
		}
	}
}

// Eval evaluates a JavaScript expression, waits for it if it is a promise, and returns its value as
// JSON.
func (t *Tab) Eval(expression string) string {
	t.b.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	t.must("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.Exception != nil {
		t.b.t.Fatalf("chromium: %.200s: %s %s", expression, r.Exception.Text, r.Exception.Exception.Description)
	}
	return string(r.Result.Value)
}

// Until waits until an expression is true.
func (t *Tab) Until(expression string) {
	t.b.t.Helper()
	t.wait(expression, func() bool { return t.Eval(expression) == "true" })
}

// Key presses and releases a key, such as "Tab", "Enter" or " ".
func (t *Tab) Key(key string) {
	t.b.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}[key]
	text := map[string]string{"Enter": "\r", " ": " "}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		e := map[string]any{"type": kind, "key": key, "windowsVirtualKeyCode": code}
		if kind == "keyDown" && text != "" {
			e["text"] = text
		}
		t.must("Input.dispatchKeyEvent", e, nil)
	}
}

// Type inserts text at the focus.
func (t *Tab) Type(text string) {
	t.b.t.Helper()
	t.must("Input.insertText", map[string]any{"text": text}, nil)
}

// Screenshot returns the visible part of the page as a PNG.
func (t *Tab) Screenshot() []byte {
	t.b.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	t.must("Page.captureScreenshot", map[string]any{"format": "png", "optimizeForSpeed": false}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.b.t.Fatal(err)
	}
	return b
}

// Faults returns the messages of the console, exceptions, and violations of the policy so far.
func (t *Tab) Faults() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.faults...)
}

// Foreign returns the requested URLs that do not begin with base.
func (t *Tab) Foreign(base string) (urls []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.urls {
		if !strings.HasPrefix(u, base) && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			urls = append(urls, u)
		}
	}
	return urls
}
