package fetchers

import (
	"errors"
	"strings"
	"testing"
)

func TestParseEnvelope(t *testing.T) {
	tests := []struct {
		name, body string
		want       Envelope
	}{
		{"Open Platform", "<xml><AppId>wxc</AppId><Encrypt>abc</Encrypt></xml>", Envelope{AppID: "wxc", Encrypt: "abc"}},
		{"Open Platform, as CDATA", "<xml><AppId><![CDATA[wxc]]></AppId><Encrypt><![CDATA[abc]]></Encrypt></xml>",
			Envelope{AppID: "wxc", Encrypt: "abc"}},
		{"WeCom", "<xml><ToUserName><![CDATA[wws]]></ToUserName><Encrypt><![CDATA[a+/=]]></Encrypt><AgentID><![CDATA[]]></AgentID></xml>",
			Envelope{ToUserName: "wws", Encrypt: "a+/="}},
		{"blanks and lines", " \n<xml>\n <ToUserName> <![CDATA[wws]]>\n</ToUserName>\r\n<Encrypt>\n abc </Encrypt> </xml>\n",
			Envelope{ToUserName: "wws", Encrypt: "abc"}},
		{"nothing but what matters", "<xml><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"empty ids", "<xml><ToUserName/><AppId></AppId><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"an XML declaration", `<?xml version="1.0" encoding="UTF-8"?><xml><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"entities of XML's own", "<xml><Encrypt>a&#43;b&#x2f;</Encrypt></xml>", Envelope{Encrypt: "a+b/"}},
		{"CDATA in parts", "<xml><Encrypt><![CDATA[ab]]><![CDATA[c]]></Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"strange children, twice", "<xml><A><Encrypt>no</Encrypt></A><A/><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"attributes", `<xml a="b"><Encrypt c="d">abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"another namespace", `<xml><a:Encrypt xmlns:a="urn:a">no</a:Encrypt><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
	}
	for _, tt := range tests {
		got, err := ParseEnvelope([]byte(tt.body))
		if err != nil || got != tt.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestHostileXML(t *testing.T) {
	const good = "<xml><Encrypt>abc</Encrypt></xml>"
	tests := []struct{ name, body, want string }{
		{"nothing", "", "it is no XML"},
		{"blanks", " \n", "it is no XML"},
		{"text", "abc", "there is text outside its root"},
		{"JSON", `{"Encrypt":"abc"}`, "there is text outside its root"},
		{"half of it", good[:20], "it is no XML"},
		{"without its end", strings.TrimSuffix(good, "</xml>"), "it is no XML"},
		{"wrong ends", "<xml><Encrypt>abc</xml></Encrypt>", "it is no XML"},
		{"two of them", good + good, "its root is not one <xml>"},
		{"text behind it", good + "x", "there is text outside its root"},
		{"another root", "<XML><Encrypt>abc</Encrypt></XML>", "its root is not one <xml>"},
		{"another namespace", `<xml xmlns="urn:a"><Encrypt>abc</Encrypt></xml>`, "its root is not one <xml>"},
		{"DOCTYPE", "<!DOCTYPE xml>" + good, "it has a DOCTYPE"},
		{"DOCTYPE with an entity", `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><Encrypt>&x;</Encrypt></xml>`, "it has a DOCTYPE"},
		{"DOCTYPE of a thousand laughs", `<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>`, "it has a DOCTYPE"},
		{"DOCTYPE within", "<xml><!DOCTYPE xml><Encrypt>abc</Encrypt></xml>", "it has a DOCTYPE"},
		{"an entity of nobody's", "<xml><Encrypt>&x;</Encrypt></xml>", "it is no XML"},
		{"an instruction", `<?php echo 1 ?>` + good, "it has a processing instruction"},
		{"an instruction within", `<xml><?a b?><Encrypt>abc</Encrypt></xml>`, "it has a processing instruction"},
		{"a declaration within", `<xml><?xml version="1.0"?><Encrypt>abc</Encrypt></xml>`, "it has a processing instruction"},
		{"another encoding", `<?xml version="1.0" encoding="GBK"?>` + good, "it is no XML"},
		{"a comment", "<xml><Encrypt>a<!-- -->bc</Encrypt></xml>", "it has a comment"},
		{"Encrypt twice", "<xml><Encrypt>abc</Encrypt><Encrypt>abd</Encrypt></xml>", "it says something twice"},
		{"Encrypt with children", "<xml><Encrypt>a<b>b</b>c</Encrypt></xml>", "an element that is a text has elements"},
		{"no Encrypt", "<xml><ToUserName>wws</ToUserName></xml>", "it is not encrypted"},
		{"an empty Encrypt", "<xml><Encrypt> </Encrypt></xml>", "it is not encrypted"},
		{"Encrypt in another case", "<xml><encrypt>abc</encrypt></xml>", "it is not encrypted"},
		{"Encrypt further in", "<xml><a><Encrypt>abc</Encrypt></a></xml>", "it is not encrypted"},
		{"an id that is none", "<xml><ToUserName>../wws</ToUserName><Encrypt>abc</Encrypt></xml>", "whom it is for is no account's id"},
		{"a long id", "<xml><AppId>" + strings.Repeat("a", 65) + "</AppId><Encrypt>abc</Encrypt></xml>", "whom it is for is no account's id"},
		{"not UTF-8", "<xml><Encrypt>\xff</Encrypt></xml>", "it is no XML"},
		{"a control character", "<xml><Encrypt>a&#0;</Encrypt></xml>", "it is no XML"},
		{"deep", strings.Repeat("<xml>", 1e5), "it has too many elements"},
		{"deep enough", "<xml>" + strings.Repeat("<a>", maxDepth), "it has too many elements"},
		{"wide", "<xml>" + strings.Repeat("<a/>", maxElements) + "</xml>", "it has too many elements"},
		{"large", "<xml><Encrypt>" + strings.Repeat("A", maxXML) + "</Encrypt></xml>", "it is too large"},
		{"an endless name", "<" + strings.Repeat("x", maxXML-1), "it is no XML"},
		{"an endless attribute", `<xml a="` + strings.Repeat("x", maxXML/2), "it is no XML"},
		{"many attributes", "<xml" + strings.Repeat(" a='b'", 1e5) + ">", "it is no XML"},
	}
	for _, tt := range tests {
		got, err := ParseEnvelope([]byte(tt.body))
		if !errors.Is(err, ErrMalformed) || got != (Envelope{}) {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
			continue
		}
		if want := "the message is malformed: " + tt.want; err.Error() != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, err, want)
		}
	}
}

func TestDepthThatIsAllowed(t *testing.T) {
	body := "<xml><Encrypt>abc</Encrypt>" + strings.Repeat("<a>", maxDepth-1) + strings.Repeat("</a>", maxDepth-1) + "</xml>"
	if got, err := ParseEnvelope([]byte(body)); err != nil || got.Encrypt != "abc" {
		t.Errorf("got %+v, %v", got, err)
	}
}
