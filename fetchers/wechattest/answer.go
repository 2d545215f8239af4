package wechattest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// platform is one of the two APIs.
type platform uint8

const (
	weixin platform = iota // api.weixin.qq.com
	wecom                  // qyapi.weixin.qq.com
)

// answer is what an endpoint says.
type answer struct {
	code int    // errcode
	msg  string // errmsg before it is decorated

	field string // the credential's word
	value string
	life  string // expires_in as JSON; empty: not said
	zero  bool   // says errcode 0 beside the credential
	more  string // more members, as JSON, after all else

	issued bool // a new value was made
}

// refuse answers an errcode with the vendor's words for it.
func refuse(p platform, code int) answer { return answer{code: code, msg: words(p, code)} }

// give answers a credential that is said to live for life seconds.
func give(field string, i *issue, life int64, zero bool) answer {
	return answer{field: field, value: i.value, life: strconv.FormatInt(life, 10), zero: zero}
}

// json returns the answer as it is written.
func (a answer) json() []byte {
	var b bytes.Buffer
	member := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", key, value)
	}
	if a.code != 0 || a.zero || a.field == "" {
		msg := a.msg
		if a.code == 0 {
			msg = "ok"
		}
		member("errcode", strconv.Itoa(a.code))
		member("errmsg", quoted(msg))
	}
	if a.code == 0 && a.field != "" {
		member(a.field, quoted(a.value))
		if a.life != "" {
			member("expires_in", a.life)
		}
	}
	if a.more != "" {
		b.WriteString("," + a.more)
	}
	return []byte("{" + b.String() + "}")
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // of a string it cannot fail
	return string(b)
}

// decorate puts around a refusal's words what each platform puts there.
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

// words is errmsg for the codes that this package answers of itself, and the
// likeliest to be injected.
func words(p platform, code int) string {
	switch code {
	case -1:
		return "system error"
	case 40013:
		if p == wecom {
			return "invalid corpid"
		}
		return "invalid appid"
	case 40014:
		return "invalid access_token"
	case 41001:
		return "access_token missing"
	case 41002:
		if p == wecom {
			return "corpid missing"
		}
		return "appid missing"
	case 41004:
		return "secret missing"
	case 42001:
		return "access_token expired"
	case 43001:
		return "require GET method"
	case 43002:
		return "require POST method"
	case 44002:
		return "empty post data"
	case 47001:
		return "data format error"
	}
	if p == wecom {
		switch code {
		case 40001:
			return "invalid credential"
		case 45009:
			return "api freq out of limit"
		case 45033:
			return "api concurrent out of limit"
		case 50003:
			return "app is disabled"
		case 60020:
			return "not allow to access from your ip"
		case 91040:
			return "get ticket type is invalid"
		}
		return "error"
	}
	switch code {
	case 40001:
		return "invalid credential, access_token is invalid or not latest"
	case 40002:
		return "invalid grant_type"
	case 40097:
		return "invalid args"
	case 40125:
		return "invalid appsecret"
	case 40243:
		return "AppSecret is frozen"
	case 45009:
		return "reach max api daily quota limit"
	case 45011:
		return "api minute-quota reach limit must slower retry next minute"
	case 61004:
		return "access clientip is not registered"
	case 89503:
		return "this ip must be confirmed by the administrator"
	}
	return "error"
}

// reply is what goes over the wire, if anything does.
type reply struct {
	status int
	header http.Header
	body   []byte
	blanks int64 // that many spaces follow the body
	cut    bool  // the connection ends instead
}

// reader returns the whole body.
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

// page is the answer of a gateway before WeChat.
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
