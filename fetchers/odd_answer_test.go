package fetchers

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// oddAnswers are the answers in testdata/wechat/odd, which are malformed JSON or otherwise odd.
func oddAnswers() []golden {
	const full = 7200 * time.Second
	const code, list = "permanent code", "authorizer list"
	invalid := APIError{Code: 40013, Reaction: Misconfigured}
	traced := APIError{Code: 40013, RID: "6553f100-0a1b2c3d-4e5f6072", Reaction: Misconfigured}
	query := Token{Value: "wxaaaabbbbcccc0002:token-1", ExpiresIn: full, Grant: "refreshtoken@@@selfMade-0123456789abcdefghijABCDEFG"}
	tokenless := query
	tokenless.Value, tokenless.ExpiresIn = "wxaaaabbbbcccc0002", 0
	token := Token{Value: "token-1", ExpiresIn: full}
	return []golden{
		{file: "odd/grant_control_character", kind: code, want: goldenCorp},
		{file: "odd/grant_line_feed", kind: code, want: goldenCorp},
		{file: "odd/grant_tab", kind: code, want: goldenCorp},
		{file: "odd/grant_nul", kind: code, want: goldenCorp},
		{file: "odd/grant_delete_and_c1", kind: code, want: goldenCorp},
		{file: "odd/grant_invalid_utf8", kind: code, want: goldenCorp},
		{file: "odd/grant_gbk", kind: code, want: goldenCorp},
		{file: "odd/grant_lone_surrogate", kind: code, want: goldenCorp},
		{file: "odd/grant_bad_escapes", kind: code, want: goldenCorp},
		{file: "odd/grant_backslash_at_end", kind: code, want: goldenCorp},
		{file: "odd/grant_unescaped_quotes", kind: code, want: goldenCorp},
		{file: "odd/grant_unescaped_brackets", kind: code, want: goldenCorp},
		{file: "odd/grant_unescaped_json", kind: code, want: goldenCorp},
		{file: "odd/grant_odd_values", kind: code, want: goldenCorp},
		{file: "odd/grant_null_values", kind: code, want: goldenCorp},
		{file: "odd/grant_wrong_types", kind: code, want: goldenCorp},
		{file: "odd/grant_unclosed_list", kind: code, want: goldenCorp},
		{file: "odd/grant_bom", kind: code, want: goldenCorp},
		{file: "odd/grant_blanks_and_bom", kind: code, want: goldenCorp},
		{file: "odd/grant_garbage_behind", kind: code, want: goldenCorp},
		{file: "odd/grant_answer_behind", kind: code, want: goldenCorp},
		{file: "odd/grant_cut_short", kind: code, want: goldenCorp},
		{file: "odd/grant_cut_short_in_the_code", kind: code, text: "is truncated"},
		{file: "odd/grant_cut_short_in_the_corp", kind: code, text: "is truncated"},
		{file: "odd/grant_without_last_brace", kind: code, want: goldenCorp},
		{file: "odd/grant_twice_alike", kind: code, want: goldenCorp},
		{file: "odd/grant_twice_differently_written", kind: code, want: goldenCorp},
		{file: "odd/grant_twice_one_empty", kind: code, want: goldenCorp},
		{file: "odd/grant_twice", kind: code, text: "permanent_code occurs twice with different values"},
		{file: "odd/grant_corp_twice", kind: code, text: "corpid occurs twice with different values"},
		{file: "odd/grant_corp_info_twice", kind: code, want: goldenCorp},
		{file: "odd/grant_two_corp_infos", kind: code, text: "corpid occurs twice with different values"},
		{file: "odd/grant_ended_by_a_text", kind: code, text: "permanent_code occurs twice with different values"},
		{file: "odd/grant_names_twice", kind: code, want: goldenCorp},
		{file: "odd/grant_keys_in_other_case", kind: code, want: goldenCorp},
		{file: "odd/grant_errcode_as_text", kind: code, want: goldenCorp},
		{file: "odd/grant_errcode_odd", kind: code, want: goldenCorp},
		{file: "odd/grant_errcode_missing", kind: code, want: goldenCorp},
		{file: "odd/grant_beside_an_errcode", kind: code, api: APIError{Code: 40078, Reaction: CodeRefused}},
		{file: "odd/grant_code_with_control_character", kind: code, text: "permanent_code is not a string"},
		{file: "odd/grant_code_with_nul_escaped", kind: code, text: "permanent_code contains invalid characters"},
		{file: "odd/grant_code_not_text", kind: code, text: "permanent_code is not a string"},

		{file: "odd/query_auth_odd_functions", kind: "query auth", want: query},
		{file: "odd/query_auth_cut_short", kind: "query auth", want: query},
		{file: "odd/query_auth_life_odd", kind: "query auth", want: tokenless},
		{file: "odd/query_auth_info_twice", kind: "query auth", text: "authorizer_refresh_token occurs twice with different values"},

		{file: "odd/token_bom", want: token},
		{file: "odd/token_backslash_at_end", want: token},
		{file: "odd/token_nul_behind", want: token},
		{file: "odd/token_garbage_behind", want: token},
		{file: "odd/token_control_character_beside", want: token},
		{file: "odd/token_twice_alike", want: token},
		{file: "odd/token_twice", text: "access_token occurs twice with different values"},
		{file: "odd/token_life_twice", want: Token{Value: "token-1", ExpiresIn: time.Minute}},
		{file: "odd/token_with_control_character", text: "access_token is not a string"},
		{file: "odd/token_with_raw_quote", text: "access_token is not a string"},
		{file: "odd/token_cut_short", text: "is truncated"},
		{file: "odd/token_life_cut_short", text: "is truncated"},
		{file: "odd/token_in_other_case", want: token},
		{file: "odd/token_life_huge", text: "over 30 days"},

		{file: "odd/token_control_character_beside", kind: "downstream token", want: token},
		{file: "odd/token_twice", kind: "downstream token", text: "access_token occurs twice with different values"},
		{file: "odd/token_cut_short", kind: "downstream token", text: "is truncated"},
		{file: "odd/token_life_huge", kind: "downstream token", text: "over 30 days"},

		{file: "odd/refused_errmsg_control_character", api: traced},
		{file: "odd/refused_errmsg_backslash_at_end", api: traced},
		{file: "odd/refused_errmsg_bad_escape", api: invalid},
		{file: "odd/refused_errmsg_unescaped_quotes", api: traced},
		{file: "odd/refused_errmsg_in_front", api: invalid},
		{file: "odd/refused_errmsg_invalid_utf8", api: invalid},
		{file: "odd/refused_errmsg_not_text", api: invalid},
		{file: "odd/refused_cut_short", api: invalid},
		{file: "odd/refused_errcode_cut_short", text: "is truncated"},
		{file: "odd/refused_errcode_as_text", api: invalid},
		{file: "odd/refused_errcode_as_float", api: invalid},
		{file: "odd/refused_errcode_twice", api: invalid},

		{file: "odd/authorizer_list_malformed_entries", kind: list, want: Token{ExpiresIn: 9,
			Value: "wx1 refresh-1 2019 wx5 refresh-5 0001 wx8 refresh-8 2023 "}},
		{file: "odd/authorizer_list_brackets", kind: list, want: Token{ExpiresIn: 6,
			Value: "wx2 refresh-2 2019 wx4 refresh-4 2023 wx5 refresh-5 2023 "}},
		{file: "odd/authorizer_list_cut_short", kind: list, text: "is truncated"},
		{file: "odd/authorizer_list_without_its_end", kind: list, text: "list is not a list"},
	}
}

// A grant is read from any part of an answer that arrived, because its code is used up.
func TestGrantInTruncatedAnswer(t *testing.T) {
	const whole = `{"permanent_code":"permanent-1","auth_corp_info":{"corpid":"wwa","corp_name":"`
	broken := func(err error) roundTripFunc {
		return answering(200, io.MultiReader(strings.NewReader(whole), failing{err}))
	}
	for name, transport := range map[string]roundTripFunc{
		"connection cut":      broken(io.ErrUnexpectedEOF),
		"connection reset":    broken(errors.New("connection reset by peer")),
		"too large":           answering(200, io.MultiReader(strings.NewReader(whole), new(endless))),
		"status of a gateway": answering(502, strings.NewReader(whole+`A"}}`)),
		"deep":                answering(200, strings.NewReader(whole+`A"},"x":`+strings.Repeat("[{\"a\":", 1e5))),
		"too large, announced": func(r *http.Request) (*http.Response, error) {
			answer, err := answering(200, io.MultiReader(strings.NewReader(whole), new(endless)))(r)
			answer.ContentLength = 2 * maxBody
			return answer, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := PermanentCode{Client: &Client{Transport: transport}, SuiteID: "wws"}.Exchange(t.Context(), canaryParent, canaryGrant)
			if want := (Authorization{Child: "wwa", Grant: "permanent-1"}); err != nil || got != want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// If nothing can be read from a truncated answer, the error is the transport's.
func TestTruncatedAnswer(t *testing.T) {
	for _, body := range []string{`{"permanent_code":"perm`, `{"permanent_code":"permanent-1","auth_corp_info":{"corpid":"ww`, `{"errcode":40078,"errmsg":"`, ""} {
		transport := answering(200, io.MultiReader(strings.NewReader(body), failing{io.ErrUnexpectedEOF}))
		got, err := PermanentCode{Client: &Client{Transport: transport}, SuiteID: "wws"}.Exchange(t.Context(), canaryParent, canaryGrant)
		if te := mustTransportError(t, err); !te.Sent || te.Err.Error() != io.ErrUnexpectedEOF.Error() || got != (Authorization{}) {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
}

func TestSkippedEntries(t *testing.T) {
	for _, tt := range []struct{ entry, want string }{
		{`7`, "the answer is not a JSON object"},
		{`{"authorizer_appid":"wxa","refresh_token":"r"`, "the answer is not JSON or is truncated"},
		{`{"refresh_token":"r"}`, "the answer has no authorizer_appid"},
		{`{"authorizer_appid":"a b"}`, "authorizer_appid is not a valid ID"},
		{`{"authorizer_appid":"wxa","refresh_token":"\n"}`, "refresh_token contains invalid characters"},
		{`{"authorizer_appid":"wxa","refresh_token":"a","refresh_token":"b"}`, "refresh_token occurs twice with different values"},
	} {
		list := `{"total_count":2,"list":[{"authorizer_appid":"wxb"},` + tt.entry + `]}`
		page, err := AuthorizerList{Client: &Client{Transport: answering(200, strings.NewReader(list))}}.Page(t.Context(), "token", 0, MaxPage)
		if err != nil || page.Len() != 2 || len(page.Authorizers) != 1 || page.Authorizers[0].AppID != "wxb" {
			t.Errorf("%s: got %+v, %v", tt.entry, page, err)
			continue
		}
		if got, want := page.Skipped[0].Error(), "in list[1]: "+tt.want; got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.entry, got, want)
		}
	}
}

// A broken answer must take time linear in its length.
func TestBrokenAnswersLinear(t *testing.T) {
	for _, part := range []string{`{"a":[`, `]}`, `[}`, `{]`, `" `, `"`, `"\`, `\",`, `"a":`, `,`, `"a":"b",`, `,{`, `[},{`, `",a`, `"} `, `} `, `[[[]`, `"a" `} {
		start := time.Now()
		_, err := parseObject([]byte("{" + strings.Repeat(part, maxBody/len(part))))
		if took := time.Since(start); err != nil || took > 10*time.Second { // of 0.05 s; quadratic time is minutes
			t.Errorf("%s: %v after %v", part, err, took)
		}
	}
}
