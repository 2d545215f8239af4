package page

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
)

var at = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// asking returns a request with a query.
func asking(query string) Ask {
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	return Ask{Values: values}
}

// show renders the page of all credentials.
func show(t *testing.T, f *fakeSource, query string) string {
	t.Helper()
	_, b := New(f).Show(t.Context(), asking(query))
	return string(b)
}

// rows returns the names of the credentials that a page shows.
func rows(body string) (names []string) {
	for _, m := range regexp.MustCompile(`<tr id="c-([^"]+)"`).FindAllStringSubmatch(body, -1) {
		names = append(names, m[1])
	}
	return names
}

// TestContent renders both languages: totals, tickets, quotas, what needs attention and what to do
// about it, and counts of customers.
func TestContent(t *testing.T) {
	both := []string{
		"283", "suite_ticket", "1840 / 2000", "errcode=40125", "sudo tokend refresh work/ww0000000000004d/1000007/access_token",
		"open_work/wwsuite0000000001/suite_access_token", "203.0.113.9", "12\u202f034", "open_platform/wxcomponent12345678", "errcode 61003",
		"/cgi-bin/gettoken", "98\u202f765\u202f432", "1.4.0", "/callback/", "api.weixin.qq.com",
	}
	for lang, own := range map[string][]string{
		"en": {`lang="en"`, "6 need attention", "9 d 5 h", "not retried until", "Ask the customer to authorize again", "all of WeCom", "Mini programs", "new value", "address · 3 credentials"},
		"zh": {`lang="zh"`, "6 个需要处理", "9 天 5 小时", "处理之前不再重试", "请客户重新授权", "企业微信合计", "小程序", "新的值"},
	} {
		body := show(t, newFake(300, at), "lang="+lang)
		for _, text := range slices.Concat(both, own) {
			if !strings.Contains(body, text) {
				t.Errorf("%s: %q is missing", lang, text)
			}
		}
		if strings.Contains(body, "%!") {
			t.Errorf("%s: a text lacks a value", lang)
		}
	}
}

// TestList: few credentials are all shown; of many, the families, and the rows that a family, a
// text or a state selects, at most 200 at a time, in the order of their names.
func TestList(t *testing.T) {
	f := newFake(1000, at)
	count := func(match func(c *credential.Status) bool) (n int) {
		for i := range f.all {
			if match(&f.all[i]) {
				n++
			}
		}
		return n
	}
	if got := rows(show(t, newFake(3, at), "")); len(got) != 3 {
		t.Errorf("of 3 credentials: got %q", got)
	}
	if body := show(t, f, ""); len(rows(body)) != 0 || strings.Count(body, `class="family"`) != 5 || !strings.Contains(body, "?family=work&amp;lang=en") {
		t.Errorf("of 1000: got %d rows, %d families", len(rows(body)), strings.Count(body, `class="family"`))
	}
	var all []string
	for query, pages := "family=official_account", 1; ; pages++ {
		body := show(t, f, query)
		got := rows(body)
		all = append(all, got...)
		if len(got) > maxRows || pages > 9 {
			t.Fatalf("%d rows at a time, %d pages", len(got), pages)
		}
		next := regexp.MustCompile(`class="button" href="\?([^"]+)"`).FindStringSubmatch(body)
		if next == nil {
			break
		}
		query = strings.ReplaceAll(next[1], "&amp;", "&")
	}
	if want := count(func(c *credential.Status) bool { return strings.HasPrefix(c.Name, "official_account/") }); len(all) != want || !slices.IsSorted(all) || len(slices.Compact(all)) != want {
		t.Errorf("all pages: got %d rows, want %d, sorted", len(all), want)
	}
	for query, match := range map[string]func(c *credential.Status) bool{
		"state=stale":           func(c *credential.Status) bool { return c.State == credential.Stale },
		"state=held":            func(c *credential.Status) bool { return c.State == credential.Held },
		"state=attention":       func(c *credential.Status) bool { return c.State >= credential.Stale },
		"q=SUITE":               func(c *credential.Status) bool { return strings.Contains(c.Name, "suite") },
		"q=suite&state=waiting": func(c *credential.Status) bool { return strings.Contains(c.Name, "suite") },
		"q=&state=idle&family=work": func(c *credential.Status) bool {
			return c.State == credential.Idle && strings.HasPrefix(c.Name, "work/")
		},
		"q=<script>":      func(*credential.Status) bool { return false },
		"state=nonsense":  func(*credential.Status) bool { return false },
		"family=nonsense": func(*credential.Status) bool { return false },
	} {
		body := show(t, f, query)
		if got, want := len(rows(body)), count(match); got != want {
			t.Errorf("%s: got %d rows, want %d", query, got, want)
		}
		if strings.Contains(body, "<script>alert") || strings.Contains(body, `"<script>`) {
			t.Errorf("%s: the query became markup", query)
		}
	}
}

// TestWeight: a page of 20 000 credentials has less than 200 KB in compressed form, and its
// rendering asks for the details of those that it shows only.
func TestWeight(t *testing.T) {
	f := newFake(20000, at)
	for _, query := range []string{"", "family=official_account", "q=a", "state=attention"} {
		f.asked = 0
		body := show(t, f, query)
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if _, err := io.WriteString(z, body); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		t.Logf("%q: %d bytes, %d compressed, %d rows", query, len(body), b.Len(), len(rows(body)))
		if b.Len() > 200_000 || len(rows(body)) > maxRows {
			t.Errorf("%q: %d bytes compressed, %d rows", query, b.Len(), len(rows(body)))
		}
		if f.asked > maxRows+maxTroubles+10 {
			t.Errorf("%q: asked for %d details", query, f.asked)
		}
	}
}

// TestDownstreamWithItsApp: a downstream corp's token is shown under its app, whatever sorts
// between them.
func TestDownstreamWithItsApp(t *testing.T) {
	f := newFake(3, at)
	f.all = nil
	for _, name := range []string{
		"work/ww1/1/access_token", "work/ww1/1/agent_config_ticket", "work/ww1/1/corp/access_token", "work/ww1/1/jsapi_ticket",
		"work/ww1/1/wwdown/access_token", "work/ww1/2/access_token", "work/ww1/2/wwdown/access_token",
	} {
		f.all = append(f.all, credential.Status{Listing: credential.Listing{Name: name}, Durable: true})
	}
	var got []string
	for _, m := range regexp.MustCompile(`class="account"><th [^>]*>([^<]+)|title="work/[^"]+">([^<]+)`).FindAllStringSubmatch(show(t, f, ""), -1) {
		got = append(got, m[1]+m[2])
	}
	want := []string{"ww1/1", "access_token", "agent_config_ticket", "corp/access_token", "jsapi_ticket", "wwdown/access_token", "ww1/2", "access_token", "wwdown/access_token"}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestAllIsWell renders a daemon without trouble, and then with one problem at a time.
func TestAllIsWell(t *testing.T) {
	f := newFake(3, at)
	if body := show(t, f, ""); !strings.Contains(body, "All is well") || !strings.Contains(body, `aria-labelledby="attention-title" hidden`) {
		t.Error("a healthy daemon needs attention")
	}
	f.survey.Store.Refusing = true
	if body := show(t, f, ""); strings.Contains(body, "All is well") || !strings.Contains(body, "disk: refuses writes") || !strings.Contains(body, `class="alarm"`) {
		t.Error("the failing disk is not shown")
	}
	f.survey.Store.Refusing, f.survey.Loading = false, true
	if !strings.Contains(show(t, f, ""), "not all is shown yet") {
		t.Error("loading is not shown")
	}
	f.survey.Loading, f.all = false, nil
	if !strings.Contains(show(t, f, ""), "No account is configured") {
		t.Error("the absence of accounts is not shown")
	}
}

// TestTroublesGrouped: a credential that is unavailable because of a parent is listed with that
// parent, across generations, and credentials with one cause are listed together. The most urgent
// entry comes first.
func TestTroublesGrouped(t *testing.T) {
	status := func(name, parent string, state credential.State, derived bool) credential.Status {
		s := credential.Status{Listing: credential.Listing{Name: name, State: state}, Durable: true, Derived: derived, Parent: parent}
		if parent != "" {
			s.LastError = "no"
		}
		return s
	}
	away := func(name string) credential.Status {
		s := status(name, "", credential.Stale, false)
		s.LastError, s.Reason = "timeout", credential.Unreachable
		return s
	}
	var got []string
	for _, g := range troubles([]credential.Status{
		away("a1"), away("a2"), away("a3"),
		status("code", "token", credential.Waiting, true),
		status("own", "fresh", credential.Expired, false),
		status("stale", "own", credential.Stale, true),
		status("ticket", "", credential.Waiting, false),
		status("ticket2", "", credential.Waiting, false),
		status("token", "ticket", credential.Waiting, false),
	}) {
		got = append(got, strings.Join(g.names, "+")+" "+strings.Join(g.also, " "))
	}
	if want := []string{"own stale", "ticket code token", "ticket2 ", "a1+a2+a3 "}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestManyTroubles: if WeChat is unreachable, all credentials fail for one cause, which the page
// reports once.
func TestManyTroubles(t *testing.T) {
	f := newFake(5000, at)
	for i := range f.all {
		c := &f.all[i]
		c.State, c.LastError, c.Reason, c.ErrCode, c.Reaction, c.Failures, c.Derived = credential.Stale, "timeout", credential.Unreachable, 0, 0, 1, false
	}
	body := show(t, f, "")
	if n := strings.Count(body, "<article"); n != 1 {
		t.Errorf("articles: got %d, want 1", n)
	}
	for _, want := range []string{fmt.Sprintf("%s need attention", grouped(len(f.all))), "300 credentials", "and 296 more", fmt.Sprintf("and %s more", grouped(len(f.all)-300))} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// TestCredential renders the page of one credential: its life, error, users, parents, children, and
// its last day.
func TestCredential(t *testing.T) {
	f := newFake(300, at)
	one := func(name, lang string) (string, bool) {
		_, b, found := New(f).Credential(t.Context(), asking("q="+url.QueryEscape(name)+"&lang="+lang))
		return string(b), found
	}
	body, found := one("official_account/wx1a2b3c4d5e704027/access_token", "en")
	if !found || !strings.Contains(body, `class="name">official_account/wx1a2b3c4d5e704027/access_token<`) {
		t.Fatalf("found: %v", found)
	}
	for _, want := range []string{
		"errcode=60020", "sudo tokend refresh", "www-data 100, deploy 70", "official_account/wx1a2b3c4d5e704027/jsapi_ticket", "Needed to fetch",
		"after a rejection", "failed: errcode 40125 invalid appsecret", "68a1f3c2-1a2b3c4d-5e6f7081", `class="mark rejected"`, `class="mark failed"`, `class="mark ok"`,
		"refreshes 9, failures 2, rejections 1, pushes 0", "in 2", "stable_token",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if body, _ = one("official_account/wx1a2b3c4d5e704027/jsapi_ticket", "zh"); !strings.Contains(body, "获取时需要") || !strings.Contains(body, "最近 24 小时") {
		t.Error("the Chinese page of a child lacks its parent or its day")
	}
	if body, _ = one("open_work/wwsuite0000000001/suite_ticket", "en"); !strings.Contains(body, "signature 4") || !strings.Contains(body, "suite_access_token") {
		t.Error("the page of a ticket lacks refused pushes or children")
	}
	for _, name := range []string{"", "open_platform/wxcomponent12345678/wxcustomer/access_token", "<script>alert(1)</script>"} {
		if body, found := one(name, "en"); found || !strings.Contains(body, "No such credential") || strings.Contains(body, "<script>alert") {
			t.Errorf("%q: found %v", name, found)
		}
	}
}

// TestFollow: an open page gets what has changed, at most once a second, and nothing else.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(300, time.Now())
		p := New(f)
		_, body := p.Show(t.Context(), asking("family=mini_program"))
		seq := regexp.MustCompile(`data-seq="(\d+)"`).FindStringSubmatch(string(body))[1]
		ctx, stop := context.WithCancel(t.Context())
		type sent struct {
			at time.Time
			update
		}
		updates := make(chan sent, 100)
		done := make(chan error, 1)
		go func() {
			done <- p.Follow(ctx, asking("family=mini_program&seq="+seq), func(data []byte) error {
				var u update
				err := json.Unmarshal(data, &u)
				updates <- sent{time.Now(), u}
				return err
			})
		}()
		time.Sleep(5 * time.Second)
		for len(updates) > 0 {
			<-updates // the first look after the page's snapshot
		}
		name := f.all[3].Name
		f.change(func() { f.all[3].State, f.all[3].Failures = credential.Stale, 1 })
		time.Sleep(1500 * time.Millisecond)
		u := <-updates
		if row := u.Parts["c-"+name]; !strings.Contains(row, "stale") || u.Parts["verdict"] == "" || u.Parts["f-mini_program"] == "" || u.Parts["feed"] != "" || len(u.Parts) > 5 {
			t.Errorf("after a change: got %d parts, row %q", len(u.Parts), row)
		}
		last := time.Time{}
		for i := range 50 { // many changes in a short time
			f.change(func() { f.all[3].Failures = 2 + i })
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(3 * time.Second) // the last of them are delayed
		synctest.Wait()
		for len(updates) > 0 {
			u := <-updates
			if !last.IsZero() && u.at.Sub(last) < time.Second {
				t.Errorf("two updates within %v", u.at.Sub(last))
			}
			last = u.at
		}
		running := make(chan struct{})
		clock := make(chan struct{})
		go func() { // times run, and the clock is converted with small errors
			defer close(clock)
			for i := 0; ; i++ {
				select {
				case <-running:
					return
				case <-time.After(300 * time.Millisecond):
				}
				f.change(func() {
					f.survey.At = time.Now()
					for k := range f.all {
						if !f.all[k].FetchedAt.IsZero() {
							f.all[k].FetchedAt = f.all[k].FetchedAt.Add(time.Duration(i%3-1) * time.Microsecond)
						}
					}
				})
			}
		}()
		time.Sleep(20 * time.Second)
		close(running)
		<-clock
		n := 0
		for len(updates) > 0 {
			if u := <-updates; len(u.Parts) > 0 {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%d updates without a change", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSnapshotsShared: ten open pages look at the daemon as often as one. Without an open page,
// nothing looks at the daemon.
func TestSnapshotsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(300, time.Now())
		p := New(f)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 10)
		for range cap(done) {
			go func() { done <- p.Follow(ctx, asking(""), func([]byte) error { return nil }) }()
		}
		time.Sleep(10*time.Second + time.Millisecond)
		stop()
		for range cap(done) {
			<-done
		}
		if f.looks > 11 {
			t.Errorf("looks in 10 s: got %d, want at most 11", f.looks)
		}
		n := f.looks
		time.Sleep(time.Hour)
		if f.looks != n {
			t.Error("the daemon was looked at although no page is open")
		}
	})
}

// TestLanguage: the language is the requested one, or else the browser's preferred one.
func TestLanguage(t *testing.T) {
	for _, test := range []struct{ lang, accept, want string }{
		{"", "", "en"},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"", "en-US,en;q=0.9,zh-CN;q=0.8", "en"},
		{"", "de, zh-TW;q=0.3", "zh"},
		{"", "ZH", "zh"},
		{"", "zh;q=0", "en"},
		{"", "zh;q=banana", "en"},
		{"", "*", "en"},
		{"", strings.Repeat("zh,", 1000), "en"},
		{"zh", "en", "zh"},
		{"en", "zh", "en"},
		{"<script>", "zh", "zh"},
	} {
		if got := wordsFor(test.lang, test.accept).Code; got != test.want {
			t.Errorf("lang %.20q, accept %.40q: got %s, want %s", test.lang, test.accept, got, test.want)
		}
	}
}

// TestLanguagesComplete: no text is missing in either language, and both have the same
// placeholders.
func TestLanguagesComplete(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z]`)
	var compare func(path string, en, zh reflect.Value)
	compare = func(path string, en, zh reflect.Value) {
		switch en.Kind() {
		case reflect.String:
			if en.String() == "" || zh.String() == "" {
				t.Errorf("%s is missing", path)
			}
			if a, b := verbs.FindAllString(en.String(), -1), verbs.FindAllString(zh.String(), -1); !slices.Equal(a, b) {
				t.Errorf("%s: placeholders %q and %q", path, a, b)
			}
		case reflect.Struct:
			for i := range en.NumField() {
				compare(path+"."+en.Type().Field(i).Name, en.Field(i), zh.Field(i))
			}
		case reflect.Array:
			for i := range en.Len() {
				compare(fmt.Sprintf("%s[%d]", path, i), en.Index(i), zh.Index(i))
			}
		case reflect.Map:
			if en.Len() != zh.Len() {
				t.Errorf("%s: %d and %d texts", path, en.Len(), zh.Len())
			}
			for _, k := range en.MapKeys() {
				if v := zh.MapIndex(k); v.IsValid() {
					compare(path+"."+k.String(), en.MapIndex(k), v)
				} else {
					t.Errorf("%s.%s is missing", path, k)
				}
			}
		}
	}
	compare("words", reflect.ValueOf(english), reflect.ValueOf(chinese))
	for s := range credential.StateCount {
		if word := credential.State(s).String(); english.States[word] == "" {
			t.Errorf("state %s has no text", word)
		}
	}
}

// TestSelfContained: the policy allows only the page's own style and script, the page refers to
// nothing elsewhere, and it is well-formed.
func TestSelfContained(t *testing.T) {
	f := newFake(300, at)
	p := New(f)
	_, all := p.Show(t.Context(), asking("state=attention"))
	_, one, _ := p.Credential(t.Context(), asking("q="+f.all[0].Name))
	for name, body := range map[string]string{"all": string(all), "one": string(one)} {
		for _, tag := range []string{"style", "script"} {
			part := regexp.MustCompile(`(?s)<`+tag+`[^>]*>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
			if len(part) != 1 {
				t.Fatalf("%s: %d %ss", name, len(part), tag)
			}
			digest := sha256.Sum256([]byte(part[0][1]))
			if want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"; !strings.Contains(p.Policy(), want) {
				t.Errorf("policy %q does not allow the page's %s", p.Policy(), tag)
			}
		}
		for _, bad := range []string{"javascript:", " style=", "http://", "https://", "url(", "@import", " src="} {
			// The advice names the URL of the callbacks, in plain text.
			if strings.Contains(strings.ReplaceAll(body, ": https://example.com/callback/", ""), bad) {
				t.Errorf("%s: the page contains %q", name, bad)
			}
		}
		if regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(body) {
			t.Errorf("%s: an element has a handler", name)
		}
		markup := regexp.MustCompile(`(?s)<script.*?</script>`).ReplaceAllString(body, "")
		d := xml.NewDecoder(strings.NewReader(markup))
		d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// TestMessagesEscaped: text from WeChat or from a browser is never markup.
func TestMessagesEscaped(t *testing.T) {
	for _, said := range []string{"</code><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\x00<script\x00>", "\"'><svg/onload=1>", "{{.Style}}", "\xff\xfe<script>"} {
		f := newFake(3, at)
		f.all[0].LastError, f.all[0].Address, f.all[0].State, f.survey.Version = said, said, credential.Held, said
		f.past[f.all[0].Name][0].RID = said
		query := url.Values{"lang": {said}, "q": {said}, "state": {said}, "family": {said}, "after": {said}}
		_, all := New(f).Show(t.Context(), Ask{Values: query, Accept: said})
		_, one, _ := New(f).Credential(t.Context(), Ask{Values: url.Values{"q": {f.all[0].Name}}})
		for _, body := range []string{string(all), string(one)} {
			if len(regexp.MustCompile(`<script`).FindAllString(body, -1)) != 1 || regexp.MustCompile(`<img|<svg/|onload=1>|alert\(1\)<`).MatchString(body) {
				t.Errorf("%q became markup", said)
			}
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", time.Hour: "1 h",
		time.Hour + 59*time.Second: "1 h", 49*time.Hour + time.Minute: "2 d 1 h", 24 * time.Hour: "1 d",
	} {
		if got := english.span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
