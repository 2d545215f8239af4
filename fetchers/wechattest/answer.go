package wechattest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// platform is one of the two APIs.
type platform uint8

const (
	weixin platform = iota // api.weixin.qq.com
	wecom                  // qyapi.weixin.qq.com
)

// answer is the answer of an endpoint.
type answer struct {
	code int    // errcode
	msg  string // errmsg before decorate

	in    string // the member that contains the fields below; empty: the top level
	field string // the credential's key; empty: there is none
	value string
	life  string // expires_in as JSON; empty: omitted
	zero  bool   // includes errcode 0 with the credential
	quiet bool   // omits errcode although there is no credential
	more  string // further members, as JSON, at the end

	grantField string // the key of a grant; empty: there is none
	grant      string

	issued bool // a new value was issued
}

// refuse returns an errcode with the vendor's text.
func refuse(p platform, code int) answer { return answer{code: code, msg: words(p, code)} }

// give returns a credential with life as its expires_in.
func give(field string, i *issue, life int64, zero bool) answer {
	return answer{field: field, value: i.value, life: strconv.FormatInt(life, 10), zero: zero}
}

// json returns the encoded answer.
func (a answer) json() []byte {
	var top, rest members
	if a.code != 0 || a.zero || a.field+a.grantField+a.in == "" && !a.quiet {
		msg := a.msg
		if a.code == 0 {
			msg = cmp.Or(msg, "ok")
		}
		top.add("errcode", strconv.Itoa(a.code))
		top.add("errmsg", quoted(msg))
	}
	if a.code == 0 && a.field != "" {
		rest.add(a.field, quoted(a.value))
		if a.life != "" {
			rest.add("expires_in", a.life)
		}
	}
	if a.code == 0 && a.grantField != "" {
		rest.add(a.grantField, quoted(a.grant))
	}
	if a.more != "" {
		rest = append(rest, a.more)
	}
	if a.in != "" {
		top.add(a.in, rest.json())
	} else {
		top = append(top, rest...)
	}
	return []byte(top.json())
}

// members are the encoded members of a JSON object.
type members []string

func (m *members) add(key, value string) { *m = append(*m, quoted(key)+":"+value) }

func (m members) json() string { return "{" + strings.Join(m, ",") + "}" }

func quoted(s string) string {
	b, _ := json.Marshal(s) // cannot fail for a string
	return string(b)
}

// decorate adds to an error's text what each platform adds.
func (w *WeChat) decorate(p platform, a answer, now time.Time) answer {
	if a.code == 0 {
		return a
	}
	switch {
	case p == wecom:
		a.msg = fmt.Sprintf("%s, hint: [%d_%d_%012x], from ip: %s, more info at https://open.work.weixin.qq.com/devtool/query?e=%d",
			a.msg, now.Unix(), w.rand.IntN(100), w.rand.Uint64N(1<<48), w.set.ClientIP, a.code)
	default:
		switch a.code {
		case 40164:
			a.msg = fmt.Sprintf("invalid ip %s ipv6 ::ffff:%[1]s, not in whitelist", w.set.ClientIP)
		case 61004:
			a.msg += " requestIP: " + w.set.ClientIP
		}
		a.msg += fmt.Sprintf(" rid: %08x-%08x-%08x", uint32(now.Unix()), w.rand.Uint32(), w.rand.Uint32())
	}
	return a
}

// reply is an HTTP response or a cut connection.
type reply struct {
	status int
	header http.Header
	body   []byte
	blanks int64 // number of spaces after the body
	cut    bool  // the connection is closed instead
}

// reader returns the complete body.
func (r reply) reader() io.Reader {
	if r.blanks == 0 {
		return bytes.NewReader(r.body)
	}
	return io.MultiReader(bytes.NewReader(r.body), io.LimitReader(blanks{}, r.blanks))
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// page returns a gateway's answer.
func page(status int) reply {
	h := http.Header{"Content-Type": {"text/html"}}
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return reply{status: status, header: h, body: []byte("<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>\n")}
}

// wire returns the answer as the platform sends it.
func (a answer) wire(p platform) reply {
	h := http.Header{}
	if p == wecom {
		h.Set("Content-Type", "application/json; charset=UTF-8")
		h.Set("Error-Code", strconv.Itoa(a.code))
		h.Set("Error-Msg", a.msg)
	} else {
		h.Set("Content-Type", "application/json; encoding=utf-8")
	}
	return reply{status: http.StatusOK, header: h, body: a.json()}
}
