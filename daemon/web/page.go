package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Page renders a page about the daemon. It may be called concurrently. An error is an internal
// fault. ctx ends when the client disconnects.
type Page func(ctx context.Context, ask Ask) (View, error)

// Ask is what a browser requests. It is untrusted.
type Ask struct {
	Values url.Values // the query
	Accept string     // the Accept-Language header
}

// View is a rendered page. It contains no secrets.
type View struct {
	Type     string // its Content-Type
	Language string // its Content-Language; "" if it has none
	Policy   string // its Content-Security-Policy; "" forbids everything
	Body     []byte
	Missing  bool // Body reports that there is no such page

	// Write, if not nil, writes the body instead of Body, for bodies too large for memory. It is
	// called at most once. An error is an internal fault unless it comes from w.
	Write func(w io.Writer) error

	// Events, if not nil, sends events instead of Body, until ctx ends or send fails. It is called
	// at most once. ctx ends when the client disconnects and when the server stops.
	Events func(ctx context.Context, send func(data []byte) error) error
}

// viewTimeout is how long a page may take, the wait for a slot included. Ten pages of 20 000
// accounts that are opened at once on a busy host take more than a second. It must be less than
// writeTimeout less readTimeout.
const viewTimeout = 4 * time.Second

// maxViews is how many pages are rendered at once. One takes some milliseconds, and some MB with
// thousands of accounts.
const maxViews = 2

// page answers with p if the client may see it.
func (s *Server) page(w http.ResponseWriter, r *http.Request, p Page) {
	ask := Ask{Values: r.URL.Query(), Accept: r.Header.Get("Accept-Language")}
	if no := s.unseen(r); no.status != 0 {
		if no.status == http.StatusForbidden {
			no.hint = s.hint(w, ask)
		}
		s.refuse(w, r, "", no)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refuse(w, r, "", refusal{status: http.StatusMethodNotAllowed, allow: "GET, HEAD", page: true})
		return
	}
	connOf(r.Context()).keep()
	var view View // valid only if the attempt succeeded
	err := s.attempt(s.views, viewTimeout, func() (err error) {
		if view, err = p(r.Context(), ask); err != nil {
			s.log.Error("cannot render page", "path", r.URL.Path, "error", err)
			return errFault
		}
		return nil
	})
	if err != nil {
		no := refusalOf(err)
		no.page = true
		s.refuse(w, r, "", no)
		return
	}
	h := w.Header()
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if view.Policy == "" {
		view.Policy = "default-src 'none'; frame-ancestors 'none'"
	}
	h.Set("Content-Security-Policy", view.Policy)
	speak(w, view.Language)
	switch {
	case view.Events != nil:
		s.events(w, r, view)
	case view.Write != nil:
		s.stream(w, r, view)
	case view.Missing:
		writeAs(w, http.StatusNotFound, view.Type, compressed(w, r, view.Body))
	default:
		writeAs(w, http.StatusOK, view.Type, compressed(w, r, view.Body))
	}
}

// minCompressed is the size in bytes from which a page is compressed.
const minCompressed = 4 << 10

// compressed returns body as the client accepts it, and sets the header for it. Pages contain no
// secrets, so their compressed size reveals none.
func compressed(w http.ResponseWriter, r *http.Request, body []byte) []byte {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(body) < minCompressed || !accepts(r.Header.Get("Accept-Encoding"), "gzip") {
		return body
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // fails for an invalid level only
	_, err := z.Write(body)
	if err = errors.Join(err, z.Close()); err != nil {
		return body // a buffer does not fail
	}
	w.Header().Set("Content-Encoding", "gzip")
	return b.Bytes()
}

// accepts reports whether an Accept-Encoding header lists a coding without refusing it.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			return strings.Trim(strings.TrimPrefix(strings.TrimSpace(quality), "q="), "0.") != "" || quality == ""
		}
	}
	return false
}

// hint returns the text for clients that may not see the page, and sets its language.
func (s *Server) hint(w http.ResponseWriter, ask Ask) string {
	if s.cfg.Unseen == nil {
		return ""
	}
	language, text := s.cfg.Unseen(ask)
	speak(w, language)
	return text
}

// speak sets the language of the answer; "" for none.
func speak(w http.ResponseWriter, language string) {
	if language != "" {
		w.Header().Set("Content-Language", language)
		w.Header().Add("Vary", "Accept-Language")
	}
}
