package advice

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// TestComplete holds that every text exists in both languages, and that a command follows exactly
// the advices that end with a colon.
func TestComplete(t *testing.T) {
	for topic, e := range table {
		for l := range Language(Languages) {
			for field, text := range map[string]both{"title": e.title, "does": e.does, "short": e.short, "advice": e.advice} {
				if text[l] == "" {
					t.Errorf("%s: no %s in language %d", topic, field, l)
				}
			}
			if begun := strings.HasSuffix(e.advice[l], ":") || strings.HasSuffix(e.advice[l], "："); begun != (e.command != "") {
				t.Errorf("%s: %q is followed by %q", topic, e.advice[l], e.command)
			}
		}
	}
}

// TestEveryFailure holds that every reason and every reaction has an advice.
func TestEveryFailure(t *testing.T) {
	for reason := range credential.Reason(credential.ReasonCount) {
		for reaction := range fetchers.CodeRefused + 1 {
			if topic := Because(reason, reaction); English.Advise(topic, Subject{}).Text == "" {
				t.Errorf("%s, %s: no advice for %q", reason, reaction, topic)
			}
		}
	}
}

func TestOf(t *testing.T) {
	refused := func(r fetchers.Reaction) credential.Status {
		return credential.Status{LastError: "errcode=1 x", Reason: credential.Refused, Reaction: r, Durable: true}
	}
	derived := refused(fetchers.Misconfigured)
	derived.Derived = true
	ticket := credential.Status{Listing: credential.Listing{State: credential.Waiting}, Pushed: true, LastError: "no ticket", Durable: true}
	child := ticket
	child.Parent, child.Derived = "open_platform/wx1/component_verify_ticket", true
	for _, test := range []struct {
		name   string
		status credential.Status
		want   Topic
	}{
		{"well", credential.Status{Durable: true}, None},
		{"not on disk", credential.Status{}, Disk},
		{"waiting", ticket, Ticket},
		{"waiting for a parent", child, Parent},
		{"parent refused", derived, Parent},
		{"wrong secret", refused(fetchers.Misconfigured), Account},
		{"address", refused(fetchers.AddressRefused), Address},
		{"unreachable", credential.Status{LastError: "timeout", Reason: credential.Unreachable, Durable: true}, Network},
	} {
		if got := Of(&test.status); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAdvise(t *testing.T) {
	const name = "open_platform/wx1/component_verify_ticket"
	for _, test := range []struct {
		advice Advice
		want   string
	}{
		{English.Advise(Account, Subject{Name: "work/ww1/1/access_token"}), "After a change in the console, run: sudo tokend refresh work/ww1/1/access_token"},
		{English.Advise(Address, Subject{Address: "192.0.2.7"}), "this host's address 192.0.2.7. "},
		{Chinese.Advise(Address, Subject{Address: "192.0.2.7"}), "本机的 IP 192.0.2.7。"},
		{Chinese.Advise(Address, Subject{}), "执行：sudo tokend refresh NAME"},
		{English.Advise(Ticket, Subject{Name: name}), "(Open Platform, authorization events (授权事件接收 URL): https://example.com/callback/open_platform/wx1)"},
		{English.Advise(Parent, Subject{Name: "open_platform/wx1/component_access_token", Parent: name}), "run: tokend status " + name},
		{English.Advise("of a later version", Subject{Name: name}), ""},
	} {
		if got := test.advice.String(); !strings.Contains(got, test.want) || strings.ContainsAny(got, "{}") || test.want == "" && got != "" {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestCallback(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"open_platform/wx1/component_verify_ticket", "Open Platform, authorization events (授权事件接收 URL): https://example.com/callback/open_platform/wx1"},
		{"open_work/ww1/suite_ticket", "WeCom, service provider, instructions of the suite (指令回调 URL): https://example.com/callback/open_work/ww1"},
		{"open_work/dk1/suite_access_token", "WeCom, service provider, template callback (代开发模板回调 URL): https://example.com/callback/open_work/dk1"},
		{"open_work/ww1/provider_access_token", ""},
		{"work/ww1/1/access_token", ""},
		{"", ""},
	} {
		got := ""
		if c, ok := English.Callback(test.name); ok {
			got = c.String()
		}
		if got != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestMeaning(t *testing.T) {
	for _, test := range []struct {
		name    string
		code    int
		english string
		chinese string
	}{
		{"official_account/wx1/access_token", 40125, "invalid appsecret", "AppSecret 无效"},
		{"work/ww1/1/access_token", 40001, "invalid secret", "secret 无效"},
		{"open_work/ww1/suite_access_token", 40085, "suite_ticket missing or expired", "suite_ticket 不存在或已过期"},
		{"work/ww1/1/access_token", 987654, "", ""},
	} {
		if en, zh := English.Meaning(test.name, test.code), Chinese.Meaning(test.name, test.code); en != test.english || zh != test.chinese {
			t.Errorf("%s %d: got %q, %q", test.name, test.code, en, zh)
		}
	}
}

// TestDocumented holds that docs/errcodes.md, in every language, has the texts of the table.
func TestDocumented(t *testing.T) {
	for l, page := range []string{"../../docs/errcodes.md", "../../docs/zh/errcodes.md"} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text, l := string(b), Language(l)
		for topic := range table {
			row := regexp.MustCompile(`(?m)^\|.* \[` + regexp.QuoteMeta(l.Title(topic)) + `\]\(#[^)]+\) \| ` + regexp.QuoteMeta(l.Does(topic)) + ` \| ` + regexp.QuoteMeta(l.Short(topic)) + ` \|$`)
			if !row.MatchString(strings.ReplaceAll(text, "\n| [", "\n| | [")) {
				t.Errorf("%s: no row %s", page, row)
			}
			section := regexp.MustCompile(`(?ims)^##+ ` + regexp.QuoteMeta(l.Title(topic)) + `\n(.*?)(^##|\z)`).FindStringSubmatch(text)
			if section == nil {
				t.Errorf("%s: no section %s", page, l.Title(topic))
				continue
			}
			if want := bare(l.Advise(topic, Subject{}).String()); !strings.Contains(bare(section[1]), want) {
				t.Errorf("%s: %s lacks the advice\n%s", page, l.Title(topic), l.Advise(topic, Subject{}))
			}
		}
	}
}

// TestRefusalsDocumented holds that docs/platforms.md, in every language, has the causes of refused
// pushes.
func TestRefusalsDocumented(t *testing.T) {
	for l, page := range []string{"../../docs/platforms.md", "../../docs/zh/platforms.md"} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for why := range credential.RefusalCount {
			cause := credential.Refusal(why).String()
			if row := "\n| `" + cause + "` | " + Language(l).Refusal(cause) + " |\n"; !strings.Contains(string(b), row) {
				t.Errorf("%s lacks the row%s", page, row)
			}
		}
	}
	if got := English.Refusal("of a later version"); got != "" {
		t.Errorf("an unknown cause: %q", got)
	}
}

// bare returns text without white space and Markdown's marks.
func bare(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '`' || c == '>' {
			return -1
		}
		return c
	}, text)
}
