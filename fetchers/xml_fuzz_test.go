package fetchers

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzReadXML reads any body. A well-formed one is read as encoding/xml does, even with a malformed
// element that is not used.
func FuzzReadXML(f *testing.F) {
	for _, name := range oddEventFiles(f) {
		body, err := os.ReadFile(filepath.Join(goldenDir, "odd", name+".xml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, []byte("\x02"))
	}
	for _, odd := range []string{"\x02", "\xe4\xb8", "&", "<", "<b>", "</b>", "<!-- -->", "<?a?>", "<AuthCode>x</AuthCode>", "<![CDATA[", "]]>", "<x/>"} {
		f.Add([]byte("<xml><SuiteId>wws</SuiteId><InfoType>create_auth</InfoType><ExtraInfo><![CDATA[x]]></ExtraInfo><AuthCode>&#97;</AuthCode></xml>"), []byte(odd))
	}
	f.Fuzz(func(t *testing.T, body, odd []byte) {
		names := []string{"InfoType", "SuiteId", "AuthCode", "Encrypt"}
		got, err := readXML(body, names...)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		for name, c := range got {
			if !slices.Contains(names, name) || c.wrong != "" && c.text != "" || strings.ContainsFunc(c.text, func(r rune) bool { return !isXML(r) }) {
				t.Errorf("%s: %+v", name, c)
			}
		}
		want, ok := strictXML(body, names...)
		if !ok {
			return
		}
		check(t, got, err, want)
		// The same with an odd element before the root's end tag, which is the last one.
		at := bytes.LastIndex(body, []byte("</xml"))
		if at < 0 || bytes.Contains(body[at:], []byte("]]>")) || bytes.Contains(body[at:], []byte("-->")) {
			return
		}
		for _, part := range [][]byte{[]byte("<ExtraInfo>"), []byte("<ExtraInfo><![CDATA[")} {
			part = append(part, bytes.ReplaceAll(odd, []byte("<"), []byte(" "))...)
			if bytes.Contains(part, []byte("<![CDATA[")) {
				part = append(bytes.ReplaceAll(part, []byte("]]>"), nil), "]]>"...)
			}
			got, err := readXML(slices.Concat(body[:at], part, []byte("</ExtraInfo>"), body[at:]), names...)
			if len(body)+len(part) < maxXML-16 {
				check(t, got, err, want)
			}
		}
	})
}

func check(t *testing.T, got message, err error, want map[string]string) {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v, want %q", err, want)
	}
	texts := map[string]string{}
	for name, c := range got {
		if texts[name] = c.text; c.wrong != "" {
			t.Errorf("%s%s", name, c.wrong)
		}
	}
	if !maps.Equal(texts, want) {
		t.Errorf("\n got %q\nwant %q", texts, want)
	}
}

// strictXML reads with encoding/xml what readXML reads. ok is false if the body has anything
// unusual.
func strictXML(body []byte, names ...string) (found map[string]string, ok bool) {
	found = map[string]string{}
	d := xml.NewDecoder(bytes.NewReader(body))
	var text strings.Builder
	depth, roots, elements, name := 0, 0, 0, ""
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found, roots == 1
		}
		if err != nil {
			return nil, false
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			elements++
			_, twice := found[t.Name.Local]
			switch {
			case elements > maxElements, name != "", t.Name.Local == "xml" && depth == 1 && roots > 0, depth == 1 && t.Name.Local != "xml":
				return nil, false
			case slices.ContainsFunc(t.Attr, func(a xml.Attr) bool { return a.Name.Local == "xmlns" || a.Name.Space == "xmlns" }):
				return nil, false // namespaces are not supported
			case depth == 1:
				roots++
			case depth == 2 && t.Name.Space == "" && slices.Contains(names, t.Name.Local):
				if twice {
					return nil, false
				}
				name = t.Name.Local
			}
		case xml.EndElement:
			if depth == 2 && name != "" {
				if text := strings.TrimSpace(text.String()); text != "" || slices.Contains(names, name) {
					found[name] = text
				}
				text.Reset()
				name = ""
			}
			depth--
		case xml.CharData:
			if name != "" {
				text.Write(t)
			}
		case xml.Comment, xml.ProcInst:
			if name != "" {
				return nil, false
			}
		case xml.Directive:
			return nil, false
		}
	}
}
