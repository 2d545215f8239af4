package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/fetchers/wechattest"
)

const (
	// maxEcho is the largest number of bytes that echo answers.
	maxEcho = 1 << 30

	// slowPieces and slowPause define slow=1: the answer comes in pieces with pauses, in 2 s.
	slowPieces = 20
	slowPause  = 100 * time.Millisecond
)

// echoed is the answer of echo.
type echoed struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
	Method  string `json:"method"`
	Query   string `json:"query"`  // as sent, without tokens
	Length  int64  `json:"length"` // of the body, in bytes
	SHA256  string `json:"sha256"` // of the body, in hexadecimal
}

// echo is a business API. It describes the request, or answers bytes that are not JSON.
func echo(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	n := -1
	if text := query.Get("bytes"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 0 || n > maxEcho {
			http.Error(w, fmt.Sprintf("bytes must be a number from 0 to %d", maxEcho), http.StatusBadRequest)
			return
		}
	}
	slow := query.Get("slow")
	if slow != "" && slow != "0" && slow != "1" {
		http.Error(w, "slow must be 1 or 0", http.StatusBadRequest)
		return
	}
	sum := sha256.New()
	size, err := io.Copy(sum, r.Body)
	if err != nil {
		return // the caller has gone
	}
	out := pieces{w: w, r: r, slow: slow == "1"}
	if n >= 0 {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		out.zeros(n)
		return
	}
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	b, _ := json.Marshal(echoed{ErrMsg: "ok", Method: r.Method, Query: withoutTokens(r.URL.RawQuery), Length: size, SHA256: hex.EncodeToString(sum.Sum(nil))}) // cannot fail
	out.write(b)
}

// withoutTokens returns a query without the parameters that carry tokens. The others keep their
// order and their encoding, so that a test can compare what a client sent.
func withoutTokens(query string) string {
	parameters := slices.DeleteFunc(strings.Split(query, "&"), func(p string) bool {
		name, _, _ := strings.Cut(p, "=")
		return slices.Contains(wechattest.TokenParameters, name)
	})
	return strings.Join(parameters, "&")
}

// pieces writes an answer, slowly if asked for.
type pieces struct {
	w    http.ResponseWriter
	r    *http.Request
	slow bool
}

// write writes b at once, or in slowPieces with a pause before each.
func (p pieces) write(b []byte) {
	p.each(len(b), func(from, to int) error {
		_, err := p.w.Write(b[from:to])
		return err
	})
}

// zeros writes n zero bytes without holding them in memory.
func (p pieces) zeros(n int) {
	var block [32 << 10]byte
	p.each(n, func(from, to int) error {
		for from < to {
			wrote, err := p.w.Write(block[:min(len(block), to-from)])
			if err != nil {
				return err
			}
			from += wrote
		}
		return nil
	})
}

// each calls write for each piece of n bytes. An error means that the caller has gone.
func (p pieces) each(n int, write func(from, to int) error) {
	if !p.slow {
		_ = write(0, n)
		return
	}
	flush := http.NewResponseController(p.w)
	for i := range slowPieces {
		select {
		case <-p.r.Context().Done():
			return
		case <-time.After(slowPause):
		}
		if write(n*i/slowPieces, n*(i+1)/slowPieces) != nil || flush.Flush() != nil {
			return
		}
	}
}
