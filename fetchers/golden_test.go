package fetchers

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const goldenDir = "../testdata/wechat"

// golden is the expected result of an answer in testdata/wechat.
type golden struct {
	file string
	kind string // a name of kinds; "access token" if empty
	life time.Duration
	want Token    // compared as a whole if not zero
	api  APIError // without Endpoint and Msg; compared if Code is not 0
	text string   // a part of the error; an invalid answer if the rest is zero
}

func goldens() []golden {
	const full = 7200 * time.Second
	return []golden{
		{file: "access_token", life: full},
		{file: "access_token", kind: "stable token", life: full},
		{file: "access_token_remaining", kind: "stable token", life: 301 * time.Second},
		{file: "access_token_errcode_0", life: full},
		{file: "access_token_512_bytes", life: full},
		{file: "ticket", kind: "jsapi ticket", life: full},
		{file: "ticket", kind: "wx_card ticket", life: full},
		{file: "ticket", kind: "sdk ticket", life: full},
		{file: "corp_token", kind: "corp token", life: full},
		{file: "corp_ticket", kind: "corp ticket", life: 6900 * time.Second},
		{file: "agent_ticket", kind: "agent ticket", life: full},
		{file: "downstream_token", kind: "downstream token", life: full},
		{file: "provider_token", kind: "provider token", life: full},
		{file: "provider_token_errcode_0", kind: "provider token", life: full},

		{file: "component_token", kind: "component token", life: full},
		{file: "pre_auth_code", kind: "pre-auth code", life: 10 * time.Minute},
		{file: "pre_auth_code_1800", kind: "pre-auth code", life: 30 * time.Minute},
		{file: "authorizer_token", kind: "authorizer token", life: full},
		{file: "authorizer_token_refresh_empty", kind: "authorizer token", life: full},
		{file: "authorizer_token_refresh_missing", kind: "authorizer token", life: full},
		{file: "query_auth", kind: "query auth", life: full},
		{file: "query_auth_no_token", kind: "query auth",
			want: Token{Value: "wxaaaabbbbcccc0002", Grant: "refreshtoken@@@selfMade-0123456789abcdefghijABCDEFG"}},
		{file: "authorizer_list", kind: "authorizer list", want: Token{ExpiresIn: 33,
			Value: "wxaaaabbbbcccc0002 refreshtoken@@@selfMade-2 2019 wxaaaabbbbcccc0003  2020 wxaaaabbbbcccc0004  2023 "}},
		{file: "start_push_ticket", kind: "start push", want: Token{Value: "started"}},
		{file: "start_push_ticket_running", kind: "start push", want: Token{Value: "started"}},
		{file: "suite_token", kind: "suite token", life: full},
		{file: "suite_token_errcode_0", kind: "suite token", life: full},
		{file: "suite_pre_auth_code", kind: "suite's pre-auth code", life: 20 * time.Minute},
		{file: "auth_corp_token", kind: "auth corp token", life: full},
		{file: "corp_token", kind: "custom app token", life: full},
		{file: "permanent_code", kind: "permanent code of a template", life: full},
		{file: "permanent_code_custom", kind: "permanent code of a template", want: goldenCorp},
		{file: "permanent_code_v2", kind: "permanent code", want: goldenCorp},
		{file: "permanent_code", kind: "permanent code", life: full},

		{file: "expires_in_6", life: 6 * time.Second},
		{file: "expires_in_text", life: full},
		{file: "expires_in_30_days", life: 30 * 24 * time.Hour},
		{file: "expires_in_0", text: "expires_in is not positive"},
		{file: "expires_in_negative", text: "expires_in is not positive"},
		{file: "expires_in_missing", text: "no expires_in"},
		{file: "expires_in_null", text: "no expires_in"},
		{file: "expires_in_empty", text: "expires_in is empty"},
		{file: "expires_in_fraction", text: "not a whole number of seconds"},
		{file: "expires_in_1e12", text: "over 30 days"},
		{file: "access_token_empty", text: "access_token is empty"},
		{file: "access_token_missing", text: "no access_token"},
		{file: "ticket", text: "no access_token"},
		{file: "provider_token", kind: "corp token", text: "no access_token"},

		{file: "refused_busy", api: APIError{Code: -1, RID: "6553f100-0a1b2c3d-4e5f6071", Reaction: Retry}},
		{file: "refused_40001_not_latest", kind: "jsapi ticket",
			api: APIError{Code: 40001, RID: "6553f100-0a1b2c3d-4e5f6071", Reaction: ParentDead}},
		{file: "refused_40013", api: APIError{Code: 40013, RID: "6553f100-0a1b2c3d-4e5f6072", Reaction: Misconfigured},
			text: "errcode=40013 invalid appid rid: "},
		{file: "refused_40125_text", kind: "stable token",
			api: APIError{Code: 40125, RID: "6553f100-0a1b2c3d-4e5f6073", Reaction: Misconfigured}},
		{file: "refused_40125_hint", api: APIError{Code: 40125, RID: "Ab.cD01234567", Reaction: Misconfigured}},
		{file: "refused_40164", api: APIError{Code: 40164, RID: "6553f100-0a1b2c3d-4e5f6074", IP: "192.0.2.7", Reaction: AddressRefused}},
		{file: "refused_61004", api: APIError{Code: 61004, RID: "6553f100-0a1b2c3d-4e5f6075", IP: "192.0.2.8", Reaction: AddressRefused}},
		{file: "refused_45009_day", api: APIError{Code: 45009, RID: "6553f100-0a1b2c3d-4e5f6076", Reaction: QuotaDay}},
		{file: "refused_45009_minute", kind: "stable token",
			api: APIError{Code: 45009, RID: "6553f100-0a1b2c3d-4e5f6077", Reaction: QuotaDay}},
		{file: "refused_work_40001", kind: "corp token",
			api: APIError{Code: 40001, RID: "1700000000_12_0a1b2c3d4e5f", IP: "192.0.2.9", Reaction: Misconfigured}},
		{file: "refused_work_40014", kind: "agent ticket",
			api: APIError{Code: 40014, RID: "1700000000_12_0a1b2c3d4e60", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_40014", kind: "downstream token",
			api: APIError{Code: 40014, RID: "1700000000_12_0a1b2c3d4e60", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_42001", kind: "downstream token",
			api: APIError{Code: 42001, RID: "1700000000_12_0a1b2c3d4e62", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_40001", kind: "downstream token",
			api: APIError{Code: 40001, RID: "1700000000_12_0a1b2c3d4e5f", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_301002", kind: "downstream token",
			api: APIError{Code: 301002, RID: "1700000000_12_0a1b2c3d4e63", IP: "192.0.2.9", Reaction: Misconfigured}},
		{file: "refused_work_45009", kind: "corp ticket",
			api: APIError{Code: 45009, RID: "1700000000_12_0a1b2c3d4e61", IP: "192.0.2.9", Reaction: QuotaMinute}},
		{file: "refused_work_60020", kind: "corp token",
			api: APIError{Code: 60020, RID: "1700000000123456789", IP: "2001:db8::9", Reaction: AddressRefused}},

		{file: "refused_61003", kind: "authorizer token", api: APIError{Code: 61003, RID: "6553f100-0a1b2c3d-4e5f6080", Reaction: GrantRefused}},
		{file: "refused_61003", kind: "jsapi ticket", api: APIError{Code: 61003, RID: "6553f100-0a1b2c3d-4e5f6080", Reaction: Reauthorize}},
		{file: "refused_61004", kind: "component token",
			api: APIError{Code: 61004, RID: "6553f100-0a1b2c3d-4e5f6075", IP: "192.0.2.8", Reaction: AddressRefused}},
		{file: "refused_61005", kind: "component token", api: APIError{Code: 61005, RID: "6553f100-0a1b2c3d-4e5f6081", Reaction: NewTicket}},
		{file: "refused_61006", kind: "component token", api: APIError{Code: 61006, RID: "6553f100-0a1b2c3d-4e5f6082", Reaction: NewTicket}},
		{file: "refused_61009", kind: "query auth", api: APIError{Code: 61009, RID: "6553f100-0a1b2c3d-4e5f6083", Reaction: CodeRefused}},
		{file: "refused_61010", kind: "query auth", api: APIError{Code: 61010, RID: "6553f100-0a1b2c3d-4e5f6084", Reaction: CodeRefused}},
		{file: "refused_61023", kind: "authorizer token", api: APIError{Code: 61023, RID: "6553f100-0a1b2c3d-4e5f6085", Reaction: GrantRefused}},
		{file: "refused_42001_component", kind: "authorizer token",
			api: APIError{Code: 42001, RID: "6553f100-0a1b2c3d-4e5f6086", Reaction: ParentDead}},
		{file: "refused_work_40058", kind: "permanent code",
			api: APIError{Code: 40058, RID: "1700000000_12_0a1b2c3d4e70", IP: "192.0.2.9", Reaction: CodeRefused}},
		{file: "refused_work_40078", kind: "permanent code",
			api: APIError{Code: 40078, RID: "1700000000_12_0a1b2c3d4e71", IP: "192.0.2.9", Reaction: CodeRefused}},
		{file: "refused_work_40082", kind: "auth corp token",
			api: APIError{Code: 40082, RID: "1700000000_12_0a1b2c3d4e72", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_40084", kind: "auth corp token",
			api: APIError{Code: 40084, RID: "1700000000_12_0a1b2c3d4e73", IP: "192.0.2.9", Reaction: Reauthorize}},
		{file: "refused_work_40085", kind: "suite token",
			api: APIError{Code: 40085, RID: "1700000000_12_0a1b2c3d4e74", IP: "192.0.2.9", Reaction: NewTicket}},
		{file: "refused_work_42009", kind: "auth corp token",
			api: APIError{Code: 42009, RID: "1700000000_12_0a1b2c3d4e75", IP: "192.0.2.9", Reaction: ParentDead}},
		{file: "refused_work_48004", kind: "auth corp token",
			api: APIError{Code: 48004, RID: "1700000000_12_0a1b2c3d4e76", IP: "192.0.2.9", Reaction: Reauthorize}},
	}
}

// goldenCorp is the result of a corp's permanent code without a token.
var goldenCorp = Token{
	Value: "wpSelfMadeCorp0001",
	Grant: "selfMadePermanentCode-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-",
}

func TestGoldenAnswers(t *testing.T) {
	byName := map[string]kind{}
	for _, k := range kinds() {
		byName[k.name] = k
	}
	unused := goldenFiles(t)
	for _, g := range append(goldens(), oddAnswers()...) {
		k, ok := byName[cmp.Or(g.kind, "access token")]
		if !ok {
			t.Fatalf("no kind %q", g.kind)
		}
		t.Run(k.name+"/"+g.file, func(t *testing.T) {
			unused = slices.DeleteFunc(unused, func(f string) bool { return f == g.file })
			f, err := os.Open(filepath.Join(goldenDir, g.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := k.make(&Client{Transport: answering(200, f)}).Fetch(t.Context(), k.ask())
			g.check(t, k, got, err)
		})
	}
	if len(unused) > 0 {
		t.Errorf("untested answers: %q", unused)
	}
}

func (g golden) check(t *testing.T, k kind, got Token, err error) {
	t.Helper()
	if err != nil && !strings.Contains(err.Error(), g.text) {
		t.Errorf("error:\n got %v\nwant %q in it", err, g.text)
	}
	switch {
	case g.want != (Token{}):
		if err != nil || got != g.want {
			t.Errorf("got %v, %v", got, err)
		}
	case g.life > 0:
		if err != nil || got.ExpiresIn != g.life || got.Value == "" {
			t.Errorf("got a life of %v, %v; want %v", got.ExpiresIn, err, g.life)
		}
	case g.api.Code != 0:
		e, ok := errors.AsType[*APIError](err)
		if !ok {
			t.Fatalf("got %v, want an APIError", err)
		}
		if e.Msg == "" && !strings.HasPrefix(g.file, "odd/") || e.Endpoint != k.path() {
			t.Errorf("got msg %q, endpoint %q", e.Msg, e.Endpoint)
		}
		is := *e
		is.Msg, is.Errmsg, is.Endpoint = "", "", ""
		if is != g.api {
			t.Errorf("\n got %+v\nwant %+v", is, g.api)
		}
	default:
		te := mustTransportError(t, err)
		if !te.Sent || te.Endpoint != k.path() {
			t.Errorf("got sent %v, endpoint %q", te.Sent, te.Endpoint)
		}
	}
	if err != nil && got != (Token{}) {
		t.Error("a token with an error")
	}
}

// goldenFiles returns the names of the golden answers, at least one.
func goldenFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	odd, _ := filepath.Glob(filepath.Join(goldenDir, "odd", "*.json")) // the pattern is valid
	if err != nil || len(files) == 0 || len(odd) == 0 {
		t.Fatalf("no golden answers in %s: %v", goldenDir, err)
	}
	files = append(files, odd...)
	for i, f := range files {
		f, _ = filepath.Rel(goldenDir, f) // always below goldenDir
		files[i] = strings.TrimSuffix(filepath.ToSlash(f), ".json")
	}
	return files
}

func mustTransportError(t *testing.T, err error) *TransportError {
	t.Helper()
	te, ok := errors.AsType[*TransportError](err)
	if !ok {
		t.Fatalf("got %v, want a TransportError", err)
	}
	return te
}
