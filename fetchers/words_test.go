package fetchers

import (
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tokend/fetchers/secret"
)

// handled returns the errcodes in a platform's table of reactions.
func handled(t *testing.T, p platform) map[int]bool {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "reaction.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	table := map[platform]string{weixin: "weixinReaction", wecom: "wecomReaction"}[p]
	known := map[int]bool{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == table {
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CaseClause); ok {
					for _, e := range c.List {
						known[codeOf(t, e)] = true
					}
				}
				return true
			})
		}
	}
	if len(known) < 30 {
		t.Fatalf("%s: %d errcodes", table, len(known))
	}
	return known
}

// Exactly the errcodes in the tables of reactions have a text.
func TestErrcodeTexts(t *testing.T) {
	for p, own := range map[platform]map[int]text{weixin: weixinWords, wecom: wecomWords} {
		known := handled(t, p)
		for code := range known {
			if m := meaning(p, code); m.english == "" || m.chinese == "" {
				t.Errorf("%s: %d has no text: %+v", p.host(), code, m)
			}
		}
		for code := range own {
			if !known[code] {
				t.Errorf("%s: %d has a text but no reaction", p.host(), code)
			}
		}
	}
}

// TestErrcodesDocumented compares docs/errcodes.md, in every language, with the tables: the
// errcodes of each host and their texts. Two errcodes must have the same reaction on the
// page exactly if they do in the code.
func TestErrcodesDocumented(t *testing.T) {
	react := map[platform]func(int) Reaction{weixin: weixinReaction, wecom: wecomReaction}
	row := regexp.MustCompile("^\\| `(-?[0-9]+)` \\| ([^|]+) \\| \\[[^|]+\\]\\(#([^)]+)\\) \\|$")
	for _, page := range []string{"../docs/errcodes.md", "../docs/zh/errcodes.md"} {
		text, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(page, "/zh/") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		shown := map[platform]map[int]bool{weixin: {}, wecom: {}}
		section, label := map[Reaction]string{}, map[string]Reaction{}
		p := weixin
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "`qyapi.weixin.qq.com`") {
				p = wecom
			}
			m := row.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				continue
			}
			code, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			shown[p][code] = true
			english, want := Meaning(p == wecom, code)
			if !strings.Contains(page, "/zh/") {
				want = english
			}
			if m[2] != want {
				t.Errorf("%s: %s %d: %q, want %q", page, p.host(), code, m[2], want)
			}
			r := react[p](code)
			if is, ok := section[r]; ok && is != m[3] {
				t.Errorf("%s: %s %d is %s, and another of %v is %s", page, p.host(), code, m[3], r, is)
			}
			if is, ok := label[m[3]]; ok && is != r {
				t.Errorf("%s: %s %d is %v, and another of %s is %v", page, p.host(), code, r, m[3], is)
			}
			section[r], label[m[3]] = m[3], r
		}
		for p := range react {
			known := handled(t, p)
			for code := range known {
				if !shown[p][code] {
					t.Errorf("%s: %s lacks %d", page, p.host(), code)
				}
			}
			for code := range shown[p] {
				if !known[code] {
					t.Errorf("%s: %s has %d, which the code does not", page, p.host(), code)
				}
			}
		}
	}
}

func codeOf(t *testing.T, e ast.Expr) int {
	t.Helper()
	sign := 1
	if u, ok := e.(*ast.UnaryExpr); ok && u.Op == gotoken.SUB {
		sign, e = -1, u.X
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("not a number: %T", e)
	}
	n, err := strconv.Atoi(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return sign * n
}

func TestMsgForClients(t *testing.T) {
	const trace = "6553f100-0a1b2c3d-4e5f6074"
	for _, tt := range []struct {
		platform     platform
		code         int
		errmsg, want string
	}{
		{weixin, 40125, "invalid appsecret, was canary rid: " + trace, "errcode=40125 invalid appsecret rid: " + trace},
		{weixin, 40164, "invalid ip 192.0.2.7 ipv6 ::ffff:192.0.2.7, not in whitelist rid: " + trace,
			"errcode=40164 IP address not in the allowlist: 192.0.2.7 rid: " + trace},
		{weixin, 61004, "access clientip is not registered requestIP: 192.0.2.8 rid: " + trace,
			"errcode=61004 IP address not in the allowlist: 192.0.2.8 rid: " + trace},
		{weixin, 61004, "no", "errcode=61004 IP address not in the allowlist"},
		{wecom, 60020, "not allow to access from your ip, hint: [1700000000123456789], from ip: 192.0.2.9, more info at x",
			"errcode=60020 IP address not in the allowlist: 192.0.2.9 rid: 1700000000123456789"},
		{wecom, 40001, "invalid credential, was " + string(canarySecret) + ", hint: [1_2_b]", "errcode=40001 invalid secret rid: 1_2_b"},
		{wecom, 40013, "invalid corpid, hint: [1_2_a], from ip: 192.0.2.9", "errcode=40013 invalid corpid rid: 1_2_a"},
		{weixin, -1, "", "errcode=-1 system busy"},
		{weixin, 987654, "something\nnew, was " + string(canarySecret), "errcode=987654 something new, was " + secret.Redacted},
		{wecom, 61004, "meant for the other platform", "errcode=61004 meant for the other platform"},
		{weixin, 987654, "", "errcode=987654"},
	} {
		q := call{platform: tt.platform, own: canarySecret}
		err := q.refusal(tt.code, tt.errmsg)
		e, ok := errors.AsType[*APIError](err)
		if !ok || e.Error() != tt.want || strings.Contains(e.Error(), "canary") {
			t.Errorf("%d %s:\n got %v\nwant %s", tt.code, tt.errmsg, err, tt.want)
		}
		// The log has everything except sent values.
		if said := strings.NewReplacer("\n", " ", string(canarySecret), secret.Redacted).Replace(tt.errmsg); e.Errmsg != said {
			t.Errorf("%d %s:\n for the log %s", tt.code, tt.errmsg, e.Errmsg)
		}
	}
}
