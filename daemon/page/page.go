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

// Page renders the status page. Create a Page with [New]. Its methods may be called concurrently.
type Page struct {
	look     func() survey.Survey
	template *template.Template
	policy   string
}

// New returns the status page of a daemon. The page calls look once per rendering.
func New(look func() survey.Survey) *Page {
	digest := sha256.Sum256([]byte(style))
	return &Page{
		look:     look,
		template: template.Must(template.New("page").Parse(markup)),
		policy: "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

// Type is the page's Content-Type.
const Type = "text/html; charset=utf-8"

// Policy returns the page's Content-Security-Policy, which allows its own style and nothing else.
func (p *Page) Policy() string { return p.policy }

// Unseen returns the text for clients that may not see the page, in the language that Show would
// choose. They may be strangers, so the text does not reveal what runs here or how it is
// configured.
func Unseen(lang, accept string) (language, text string) {
	w := wordsFor(lang, accept)
	return w.Code, w.Unseen
}

// Show renders the page and returns its language: lang if the page has it, or else the language
// that accept, an Accept-Language header, prefers. Both may be any text. An error is an internal
// fault.
func (p *Page) Show(lang, accept string) (language string, body []byte, err error) {
	w := wordsFor(lang, accept)
	v := p.look()
	var b bytes.Buffer
	if err := p.template.Execute(&b, w.of(&v)); err != nil {
		return "", nil, fmt.Errorf("render the status page: %w", err)
	}
	return w.Code, b.Bytes(), nil
}
