package fetchers

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of an XML body. WeChat's have two or three levels and some twenty
// elements; events about members and customers, which are skipped, have more.
const (
	maxXML      = 1 << 20
	maxDepth    = 16
	maxElements = 10000
)

// readXML returns the texts, trimmed, of those children of the root element <xml> that
// are named, by name; a child that is not there has no entry. Others are skipped.
//
// It reads elements and text (CDATA or not) and nothing more: no
// DOCTYPE, so no entities but XML's own five; no processing instruction, no comment.
// A named child that comes twice, or has children, could be read in two ways, and is an
// error. Errors are ErrMalformed and hold nothing of body.
func readXML(body []byte, names ...string) (map[string]string, error) {
	if len(body) > maxXML {
		return nil, malformed("it is too large")
	}
	r := xmlReader{d: xml.NewDecoder(bytes.NewReader(body)), names: names, found: map[string]string{}}
	for {
		t, err := r.d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformed("it is no XML") // the decoder's text would quote it
		}
		if wrong := r.token(t); wrong != "" {
			return nil, malformed(wrong)
		}
	}
	if !r.ended {
		return nil, malformed("it is no XML")
	}
	return r.found, nil
}

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }

// xmlReader is the state of readXML.
type xmlReader struct {
	d     *xml.Decoder
	names []string
	found map[string]string

	begun, ended bool // the root element
	depth        int
	elements     int

	name string // of the child being read; "" outside those that are wanted
	text strings.Builder
}

// token takes one token and returns what is wrong with it, or "".
func (r *xmlReader) token(t xml.Token) (wrong string) {
	switch t := t.(type) {
	case xml.StartElement:
		return r.start(t.Name)
	case xml.EndElement:
		r.end()
	case xml.CharData:
		switch {
		case r.name != "":
			r.text.Write(t)
		case r.depth == 0 && len(bytes.TrimSpace(t)) > 0:
			return "there is text outside its root"
		}
	case xml.ProcInst:
		// The XML declaration is no instruction, though the decoder calls it one. The
		// decoder refuses any encoding but UTF-8.
		if t.Target != "xml" || r.begun {
			return "it has a processing instruction"
		}
	case xml.Directive:
		return "it has a DOCTYPE"
	default:
		return "it has a comment"
	}
	return ""
}

func (r *xmlReader) start(name xml.Name) (wrong string) {
	r.depth++
	r.elements++
	switch {
	case r.depth > maxDepth || r.elements > maxElements:
		return "it has too many elements"
	case r.depth == 1:
		if r.begun || name.Local != "xml" || name.Space != "" {
			return "its root is not one <xml>"
		}
		r.begun = true
	case r.name != "":
		return "an element that is a text has elements"
	case r.depth == 2 && name.Space == "" && slices.Contains(r.names, name.Local):
		if _, twice := r.found[name.Local]; twice {
			return "it says something twice"
		}
		r.name = name.Local
	}
	return ""
}

func (r *xmlReader) end() {
	if r.depth == 2 && r.name != "" {
		r.found[r.name] = strings.TrimSpace(r.text.String())
		r.text.Reset()
		r.name = ""
	}
	if r.depth--; r.depth == 0 {
		r.ended = true
	}
}
