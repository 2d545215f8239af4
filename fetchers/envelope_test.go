package fetchers

import (
	"errors"
	"strings"
	"testing"
	"time"
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
		{"spaces and newlines", " \n<xml>\n <ToUserName> <![CDATA[wws]]>\n</ToUserName>\r\n<Encrypt>\n abc </Encrypt> </xml>\n",
			Envelope{ToUserName: "wws", Encrypt: "abc"}},
		{"minimal", "<xml><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"empty IDs", "<xml><ToUserName/><AppId></AppId><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"an XML declaration", `<?xml version="1.0" encoding="UTF-8"?><xml><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"predefined and numeric entities", "<xml><Encrypt>a&#43;b&#x2f;</Encrypt></xml>", Envelope{Encrypt: "a+b/"}},
		{"CDATA in parts", "<xml><Encrypt><![CDATA[ab]]><![CDATA[c]]></Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"unknown children, twice", "<xml><A><Encrypt>no</Encrypt></A><A/><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"attributes", `<xml a="b"><Encrypt c="d">abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"another namespace", `<xml><a:Encrypt xmlns:a="urn:a">no</a:Encrypt><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"tags in an attribute", `<xml a='>"'><b c="/>"/><Encrypt e='>'>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"a byte order mark", "\ufeff<xml><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"a trailing NUL", "<xml><Encrypt>abc</Encrypt></xml>\x00", Envelope{Encrypt: "abc"}},
		{"surrounding text", "{}<xml>&<Encrypt>abc</Encrypt>\x02</xml>]]>", Envelope{Encrypt: "abc"}},
		{"without end tag", "<xml><Encrypt>abc</Encrypt>", Envelope{Encrypt: "abc"}},
		{"another encoding", `<?xml version="1.0" encoding="GBK"?><xml><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"comments", "<!-- <xml> --><xml><!-- <Encrypt>abd</Encrypt> --><Encrypt>abc</Encrypt></xml><!---->", Envelope{Encrypt: "abc"}},
		{"instructions", `<?php <xml> ?><xml><?xml version="1.0"?><Encrypt>abc</Encrypt></xml>`, Envelope{Encrypt: "abc"}},
		{"Encrypt twice", "<xml><Encrypt>abc</Encrypt><Encrypt/><Encrypt><![CDATA[abc]]></Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"invalid addresses", "<xml><ToUserName>../wws</ToUserName><AppId>a<b/></AppId><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"a long address", "<xml><AppId>" + strings.Repeat("a", 65) + "</AppId><Encrypt>abc</Encrypt></xml>", Envelope{Encrypt: "abc"}},
		{"deep", "<xml>" + strings.Repeat("<a>", maxElements-2) + strings.Repeat("</a>", maxElements-2) + "<Encrypt>abc</Encrypt></xml>",
			Envelope{Encrypt: "abc"}},
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
	const strange, root, many = "Encrypt contains invalid characters", "it must have exactly one root element <xml>", "it has too many elements"
	tests := []struct{ name, body, want string }{
		{"nothing", "", root},
		{"blanks", " \n", root},
		{"text", "abc", root},
		{"JSON", `{"Encrypt":"abc"}`, root},
		{"truncated", good[:20], "Encrypt has no end tag"},
		{"wrong order of end tags", "<xml><Encrypt>abc</xml></Encrypt>", "Encrypt has no end tag"},
		{"two roots", good + good, root},
		{"another root", "<XML><Encrypt>abc</Encrypt></XML>", root},
		{"DOCTYPE", "<!DOCTYPE xml>" + good, "it has a DOCTYPE"},
		{"DOCTYPE with an entity", `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><Encrypt>&x;</Encrypt></xml>`, "it has a DOCTYPE"},
		{"DOCTYPE of a thousand laughs", `<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>`, "it has a DOCTYPE"},
		{"DOCTYPE within", "<xml><!DOCTYPE xml><Encrypt>abc</Encrypt></xml>", "it has a DOCTYPE"},
		{"an unknown entity", "<xml><Encrypt>&x;</Encrypt></xml>", strange},
		{"a bare &", "<xml><Encrypt>a&b</Encrypt></xml>", strange},
		{"a bare <", "<xml><Encrypt>a<</Encrypt></xml>", strange},
		{"a bare end of CDATA", "<xml><Encrypt>a]]></Encrypt></xml>", strange},
		{"truncated CDATA", "<xml><Encrypt><![CDATA[abc</Encrypt></xml>", strange},
		{"a comment", "<xml><Encrypt>a<!-- -->bc</Encrypt></xml>", strange},
		{"an instruction", "<xml><Encrypt>a<?b?>c</Encrypt></xml>", strange},
		{"an unrelated end tag", "<xml><Encrypt>a</b>c</Encrypt></xml>", strange},
		{"Encrypt twice", "<xml><Encrypt>abc</Encrypt><Encrypt>abd</Encrypt></xml>", "Encrypt occurs twice with different values"},
		{"Encrypt with children", "<xml><Encrypt>a<b>b</b>c</Encrypt></xml>", "Encrypt contains elements"},
		{"Encrypt with a child without its end", "<xml><Encrypt>a<b>c</Encrypt></xml>", "Encrypt contains elements"},
		{"no Encrypt", "<xml><ToUserName>wws</ToUserName></xml>", "it is not encrypted"},
		{"an empty Encrypt", "<xml><Encrypt> </Encrypt></xml>", "it is not encrypted"},
		{"Encrypt in another case", "<xml><encrypt>abc</encrypt></xml>", "it is not encrypted"},
		{"Encrypt further in", "<xml><a><Encrypt>abc</Encrypt></a></xml>", "it is not encrypted"},
		{"Encrypt behind the root", "<xml><a/></xml><Encrypt>abc</Encrypt>", "it is not encrypted"},
		{"not UTF-8", "<xml><Encrypt>\xff</Encrypt></xml>", strange},
		{"a control character", "<xml><Encrypt>a\x02</Encrypt></xml>", strange},
		{"a control character as CDATA", "<xml><Encrypt><![CDATA[a\x02]]></Encrypt></xml>", strange},
		{"a control character by its number", "<xml><Encrypt>a&#0;</Encrypt></xml>", strange},
		{"a number beyond Unicode", "<xml><Encrypt>a&#x110000;</Encrypt></xml>", strange},
		{"deep", strings.Repeat("<xml>", 1e5), many},
		{"wide", "<xml>" + strings.Repeat("<a/>", maxElements) + "</xml>", many},
		{"many that are not tags", "<xml><Encrypt>abc</Encrypt>" + strings.Repeat("<", maxLooks) + "</xml>", many},
		{"large", "<xml><Encrypt>" + strings.Repeat("A", maxXML) + "</Encrypt></xml>", "it is too large"},
		{"an endless name", "<" + strings.Repeat("x", maxXML-1), root},
		{"an endless attribute", `<xml a="` + strings.Repeat("x", maxXML/2), root},
		{"many attributes", "<xml" + strings.Repeat(" a='b'", 1e5) + ">", "it is not encrypted"},
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

// A broken message must take time linear in its length, because a stranger can send one.
func TestBrokenXMLLinear(t *testing.T) {
	for _, part := range []string{"<", "<a", "<a ", "<a'", `<a"'`, `"`, "<a/>", "</a>", "</d>", "<![CDATA[", "<!--", "<?", "<!", "&", "]]>", "-->", "\r", "<![CDATA[]]>", "\x00"} {
		for _, body := range []string{"<xml>", "<xml><Encrypt>", "<xml a='", strings.Repeat("<b>", maxElements-2), strings.Repeat("<b>", maxElements/2) + strings.Repeat("<c>", maxElements/2-1)} {
			body += strings.Repeat(part, (maxXML-len(body))/len(part))
			start := time.Now()
			_, err := readXML([]byte(body+"</xml>"), "Encrypt")
			if took := time.Since(start); took > 10*time.Second { // of 0.05 s; quadratic time is minutes
				t.Errorf("%.20s and %s: %v after %v", body, part, err, took)
			}
		}
	}
}
