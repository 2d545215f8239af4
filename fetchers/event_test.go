package fetchers

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"
)

func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

func TestParseEvent(t *testing.T) {
	const component = "<AppId>wxc</AppId><CreateTime>1700000000</CreateTime>"
	const suite = "<SuiteId><![CDATA[wws]]></SuiteId><TimeStamp>1700000000</TimeStamp>"
	authorized := func(rest string) string {
		return component + "<InfoType>authorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid><AuthorizationCode>queryauthcode@@@X</AuthorizationCode>" + rest
	}
	tests := []struct {
		name, inner string
		want        Event
	}{
		{"component_verify_ticket", component + "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@1</ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Time: at(1700000000), Ticket: "ticket@@@1"}},
		{"component_verify_ticket, as CDATA, with spaces", "\n<AppId><![CDATA[wxc]]></AppId>\n<CreateTime> 1700000000 </CreateTime>\n" +
			"<InfoType> <![CDATA[component_verify_ticket]]></InfoType><ComponentVerifyTicket> <![CDATA[ ticket@@@1 ]]> </ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Time: at(1700000000), Ticket: "ticket@@@1"}},
		{"without a time", "<AppId>wxc</AppId><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Ticket: "t"}},
		{"with an invalid time", "<AppId>wxc</AppId><CreateTime>now</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Ticket: "t"}},
		{"with a time out of range", "<AppId>wxc</AppId><CreateTime>9223372036854775807</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Ticket: "t"}},
		{"with WeCom's time", "<AppId>wxc</AppId><TimeStamp>1700000000</TimeStamp><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>",
			Event{Kind: EventVerifyTicket, Owner: "wxc", Ticket: "t"}},
		{"authorized, expiry as a time", authorized("<AuthorizationCodeExpiredTime>1700003600</AuthorizationCodeExpiredTime><PreAuthCode>preauthcode@@@Y</PreAuthCode>"),
			Event{Kind: EventAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "queryauthcode@@@X", CodeExpires: at(1700003600)}},
		{"authorized, expiry in seconds", authorized("<AuthorizationCodeExpiredTime>3600</AuthorizationCodeExpiredTime>"),
			Event{Kind: EventAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "queryauthcode@@@X", CodeExpires: at(1700003600)}},
		{"authorized, no expiry", authorized(""),
			Event{Kind: EventAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "queryauthcode@@@X"}},
		{"authorized, invalid expiry", authorized("<AuthorizationCodeExpiredTime>-5</AuthorizationCodeExpiredTime>"),
			Event{Kind: EventAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "queryauthcode@@@X"}},
		{"authorized, seconds without a time", "<AppId>wxc</AppId><InfoType>authorized</InfoType><AuthorizationCode>c</AuthorizationCode><AuthorizationCodeExpiredTime>600</AuthorizationCodeExpiredTime>",
			Event{Kind: EventAuthorized, Owner: "wxc", Code: "c"}},
		{"updateauthorized", strings.Replace(authorized(""), "authorized</Info", "updateauthorized</Info", 1),
			Event{Kind: EventUpdateAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "queryauthcode@@@X"}},
		{"unauthorized", component + "<InfoType>unauthorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid>",
			Event{Kind: EventUnauthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa"}},
		{"notify_third_fasteregister", component + "<InfoType>notify_third_fasteregister</InfoType><appid>wxm</appid><status>0</status><auth_code>code</auth_code><msg>OK</msg><info><name>企业</name><code>91</code></info>",
			Event{Kind: EventFastRegister, Owner: "wxc", Time: at(1700000000), Child: "wxm", Code: "code"}},
		{"fast registration, failed", component + "<InfoType>notify_third_fasteregister</InfoType><appid></appid><status>101</status><auth_code>code</auth_code><msg>no</msg><info><name>企业</name></info>",
			Event{Kind: EventFastRegister, Owner: "wxc", Time: at(1700000000)}},
		{"fast registration, beta", component + "<InfoType>notify_third_fastregisterbetaapp</InfoType><appid>wxm</appid><status>0</status><info><unique_id>1</unique_id></info>",
			Event{Kind: "notify_third_fastregisterbetaapp", Owner: "wxc", Time: at(1700000000), Child: "wxm"}},

		{"suite_ticket", suite + "<InfoType> <![CDATA[suite_ticket]]></InfoType><SuiteTicket><![CDATA[t]]></SuiteTicket>",
			Event{Kind: EventSuiteTicket, Owner: "wws", Time: at(1700000000), Ticket: "t"}},
		{"create_auth", suite + "<InfoType>create_auth</InfoType><AuthCode>code</AuthCode><State>s</State><ExtraInfo></ExtraInfo>",
			Event{Kind: EventCreateAuth, Owner: "wws", Time: at(1700000000), Code: "code", CodeExpires: at(1700000600)}},
		{"create_auth without a time", "<SuiteId>wws</SuiteId><InfoType>create_auth</InfoType><AuthCode>code</AuthCode>",
			Event{Kind: EventCreateAuth, Owner: "wws", Code: "code"}},
		{"reset_permanent_code", "<AuthCode>code</AuthCode>" + suite + "<InfoType>reset_permanent_code</InfoType>",
			Event{Kind: EventResetPermanentCode, Owner: "wws", Time: at(1700000000), Code: "code", CodeExpires: at(1700000600)}},
		{"change_auth", suite + "<InfoType>change_auth</InfoType><AuthCorpId>wwa</AuthCorpId><State/>",
			Event{Kind: EventChangeAuth, Owner: "wws", Time: at(1700000000), Child: "wwa"}},
		{"cancel_auth", suite + "<InfoType>cancel_auth</InfoType><AuthCorpId><![CDATA[wwa]]></AuthCorpId>",
			Event{Kind: EventCancelAuth, Owner: "wws", Time: at(1700000000), Child: "wwa"}},

		{"an unknown kind of WeCom", suite + "<InfoType>change_contact</InfoType><AuthCorpId>not an id</AuthCorpId><AuthCode>no code</AuthCode>",
			Event{Kind: "change_contact", Owner: "wws", Time: at(1700000000)}},
		{"an unknown kind of a component", component + "<InfoType>something_new</InfoType>",
			Event{Kind: "something_new", Owner: "wxc", Time: at(1700000000)}},
		{"a known kind in upper case", component + "<InfoType>Authorized</InfoType>",
			Event{Kind: "Authorized", Owner: "wxc", Time: at(1700000000)}},
		{"a kind unfit for a log", "<AppId>a b</AppId><InfoType>new\nline\u202e" + strings.Repeat("x", 100) + "</InfoType>",
			Event{Kind: "new?line?" + strings.Repeat("x", 55)}},
		{"no kind", "<ToUserName>wxc</ToUserName><CreateTime>1700000000</CreateTime><MsgType>text</MsgType>",
			Event{Time: at(1700000000)}},
		{"nothing", "", Event{}},
	}
	for _, tt := range tests {
		got, err := ParseEvent([]byte("<xml>" + tt.inner + "</xml>"))
		if err != nil || got != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.name, err, shown(got), shown(tt.want))
		}
	}
}

// TestSuiteEventOrder: the elements of a suite's event may have any order.
func TestSuiteEventOrder(t *testing.T) {
	const owner, stamp, code, corp, state = "<SuiteId><![CDATA[wws]]></SuiteId>", "<TimeStamp>1700000000</TimeStamp>",
		"<AuthCode><![CDATA[code]]></AuthCode>", "<AuthCorpId><![CDATA[wwa]]></AuthCorpId>", "<State><![CDATA[s]]></State>"
	for kind, rest := range map[string][]string{
		EventSuiteTicket:        {"<SuiteTicket><![CDATA[t]]></SuiteTicket>"},
		EventCreateAuth:         {code, state, "<ExtraInfo>typed <by a user</ExtraInfo>"},
		EventChangeAuth:         {corp, state},
		EventCancelAuth:         {corp},
		EventResetPermanentCode: {code},
		"change_contact":        {corp},
	} {
		elements := append([]string{owner, "<InfoType> <![CDATA[" + kind + "]]></InfoType>", stamp}, rest...)
		var want Event
		n := 0
		for order := range permutations(elements) {
			got, err := ParseEvent([]byte("<xml>" + strings.Join(order, "") + "</xml>"))
			if n++; n == 1 {
				want = got
			}
			if err != nil || got != want || got.Kind != kind || got.Owner != "wws" || !got.Time.Equal(at(1700000000)) {
				t.Fatalf("%s: %v\n got %s\nwant %s", strings.Join(order, ""), err, shown(got), shown(want))
			}
		}
		if n < 24 {
			t.Errorf("%s: %d orders", kind, n)
		}
	}
}

// permutations yields every order of all, in one reused slice.
func permutations(all []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		var place func(k int) bool
		place = func(k int) bool {
			if k == len(all) {
				return yield(all)
			}
			for i := k; i < len(all); i++ {
				all[k], all[i] = all[i], all[k]
				next := place(k + 1)
				all[k], all[i] = all[i], all[k]
				if !next {
					return false
				}
			}
			return true
		}
		place(0)
	}
}

// shown returns all of an event, including secrets, for test failures.
func shown(e Event) string {
	return fmt.Sprintf("%q of %q at %v: ticket %q, child %q, code %q until %v",
		e.Kind, e.Owner, e.Time, string(e.Ticket), e.Child, string(e.Code), e.CodeExpires)
}

func TestMalformedEvents(t *testing.T) {
	tests := []struct{ kind, inner, want string }{
		{"component_verify_ticket", "<AppId>wxc</AppId>", "ComponentVerifyTicket is empty"},
		{"component_verify_ticket", "<AppId>wxc</AppId><ComponentVerifyTicket> </ComponentVerifyTicket>", "ComponentVerifyTicket is empty"},
		{"component_verify_ticket", "<AppId>wxc</AppId><ComponentVerifyTicket>a b</ComponentVerifyTicket>", "ComponentVerifyTicket contains invalid characters"},
		{"component_verify_ticket", "<AppId>wxc</AppId><ComponentVerifyTicket>a\nb</ComponentVerifyTicket>", "ComponentVerifyTicket contains invalid characters"},
		{"component_verify_ticket", "<AppId>wxc</AppId><ComponentVerifyTicket>" + strings.Repeat("t", maxValue+1) + "</ComponentVerifyTicket>",
			"ComponentVerifyTicket is longer than 4096 bytes"},
		{"component_verify_ticket", "<AppId>wxc</AppId><SuiteTicket>t</SuiteTicket>", "ComponentVerifyTicket is empty"},
		{"component_verify_ticket", "<ComponentVerifyTicket>t</ComponentVerifyTicket>", "AppId is not a valid ID"},
		{"component_verify_ticket", "<SuiteId>wxc</SuiteId><ComponentVerifyTicket>t</ComponentVerifyTicket>", "AppId is not a valid ID"},
		{"component_verify_ticket", "<AppId>wx/c</AppId><ComponentVerifyTicket>t</ComponentVerifyTicket>", "AppId is not a valid ID"},
		{"component_verify_ticket", "<AppId>wxc</AppId><AppId>wxd</AppId><ComponentVerifyTicket>t</ComponentVerifyTicket>", "AppId occurs twice with different values"},
		{"authorized", "<AppId>wxc</AppId><AuthorizerAppid>wxa</AuthorizerAppid>", "AuthorizationCode is empty"},
		{"authorized", "<AppId>wxc</AppId><AuthorizerAppid>a b</AuthorizerAppid><AuthorizationCode>c</AuthorizationCode>", "AuthorizerAppid is not a valid ID"},
		{"unauthorized", "<AppId>wxc</AppId>", "AuthorizerAppid is not a valid ID"},
		{"unauthorized", "<AppId>wxc</AppId><AuthorizerAppid>" + strings.Repeat("a", 65) + "</AuthorizerAppid>", "AuthorizerAppid is not a valid ID"},
		{"notify_third_fasteregister", "<AppId>wxc</AppId><status>0</status><auth_code>a b</auth_code>", "auth_code contains invalid characters"},
		{"suite_ticket", "<SuiteId>wws</SuiteId>", "SuiteTicket is empty"},
		{"suite_ticket", "<AppId>wws</AppId><SuiteTicket>t</SuiteTicket>", "SuiteId is not a valid ID"},
		{"create_auth", "<SuiteId>wws</SuiteId>", "AuthCode is empty"},
		{"reset_permanent_code", "<SuiteId>wws</SuiteId><AuthCode>中</AuthCode>", "AuthCode contains invalid characters"},
		{"cancel_auth", "<SuiteId>wws</SuiteId>", "AuthCorpId is not a valid ID"},
	}
	for _, tt := range tests {
		got, err := ParseEvent([]byte("<xml><InfoType>" + tt.kind + "</InfoType>" + tt.inner + "</xml>"))
		if !errors.Is(err, ErrMalformed) || got != (Event{}) {
			t.Errorf("%s %s: got %s, %v", tt.kind, tt.inner, shown(got), err)
			continue
		}
		if want := "the message is malformed: " + tt.want; err.Error() != want {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.kind, tt.inner, err, want)
		}
	}
	if _, err := ParseEvent([]byte("4611686018427387905")); !errors.Is(err, ErrMalformed) {
		t.Errorf("the echo of a verification: got %v", err)
	}
}

// From the wire to the event, with the vectors.
func TestVectorEvents(t *testing.T) {
	want := map[string]Event{
		componentID: {Kind: EventVerifyTicket, Owner: componentID, Time: at(1700000000), Ticket: "ticket@@@selfmade-0001"},
		suiteID:     {Kind: EventSuiteTicket, Owner: suiteID, Time: at(1700000200), Ticket: "suiteticket-selfmade-0001"},
	}
	var events int
	for _, v := range vectors() {
		if v.receiver == providerID {
			continue
		}
		envelope, err := ParseEnvelope([]byte("<xml><ToUserName>" + v.receiver + "</ToUserName><Encrypt><![CDATA[" + v.encrypt + "]]></Encrypt></xml>"))
		if err != nil {
			t.Fatal(err)
		}
		plain, receiver, err := v.callback(t).Open(v.signature, v.timestamp, v.nonce, envelope.Encrypt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseEvent(plain)
		if err != nil || got != want[receiver] {
			t.Errorf("%s: %v\n got %s\nwant %s", v.name, err, shown(got), shown(want[receiver]))
		}
		events++
	}
	if events != len(want) {
		t.Errorf("read %d events", events)
	}
}

func TestEventFormat(t *testing.T) {
	e := Event{Kind: EventAuthorized, Ticket: "canary-ticket", Code: "canary-code"}
	if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "canary") {
		t.Errorf("shows %s", text)
	}
}
