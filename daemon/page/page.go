package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"

	"tokend/daemon/survey"
)

var (
	//go:embed page.html
	markup string

	//go:embed page.css
	style string
)

// Page makes the status page. Make one with [New]; its methods may be called concurrently.
type Page struct {
	look     func() survey.Survey
	template *template.Template
	policy   string
}

// New returns the status page of the daemon that look looks at, once for each time that it is
// shown.
func New(look func() survey.Survey) *Page {
	digest := sha256.Sum256([]byte(style))
	return &Page{
		look:     look,
		template: template.Must(template.New("page").Parse(markup)),
		policy: "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

// Type is what a browser is to be told that the page is.
const Type = "text/html; charset=utf-8"

// Policy returns the Content-Security-Policy of the page: its own style, and nothing else at all.
func (p *Page) Policy() string { return p.policy }

// Unseen returns what to tell those who may not see the page, in the language that Show would take
// for them. They may be strangers, so it tells nothing of what runs here or how it is configured.
func Unseen(lang, accept string) (language, text string) {
	w := wordsFor(lang, accept)
	return w.Code, w.Unseen
}

// Show returns the page as it is now, and its language: lang if that is one of the page's, or else
// the one that accept, an Accept-Language, prefers. Both may be any text. Its error is a fault.
func (p *Page) Show(lang, accept string) (language string, body []byte, err error) {
	w := wordsFor(lang, accept)
	v := p.look()
	var b bytes.Buffer
	if err := p.template.Execute(&b, w.of(&v)); err != nil {
		return "", nil, fmt.Errorf("make the status page: %w", err)
	}
	return w.Code, b.Bytes(), nil
}
