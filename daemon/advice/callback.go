package advice

import "strings"

// Callback is where WeChat's console has the address of an owner's callbacks.
type Callback struct {
	Console string
	Field   string
	Path    string // of the URL, without the host
}

// The fields of the consoles.
const (
	events       = "授权事件接收 URL"
	instructions = "指令回调 URL"
	template     = "代开发模板回调 URL"
)

// String returns the console, the field and the URL, whose host tokend does not know.
func (c Callback) String() string {
	return c.Console + ", " + c.Field + ": https://example.com" + c.Path
}

// Callback returns the callback of the platform or suite that owns the credential name. It returns
// false if no pushes belong to its owner.
func (l Language) Callback(name string) (Callback, bool) {
	family, rest, _ := strings.Cut(name, "/")
	owner, word, found := strings.Cut(rest, "/")
	if !found || word == "provider_access_token" {
		return Callback{}, false
	}
	c := Callback{Path: "/callback/" + family + "/" + owner}
	switch {
	case family == "open_platform":
		c.Console = [Languages]string{"Open Platform", "开放平台"}[l]
		c.Field = [Languages]string{"authorization events (" + events + ")", events}[l]
	case family == "open_work" && strings.HasPrefix(owner, "dk"):
		c.Console = [Languages]string{"WeCom, service provider", "企业微信服务商后台"}[l]
		c.Field = [Languages]string{"template callback (" + template + ")", template}[l]
	case family == "open_work":
		c.Console = [Languages]string{"WeCom, service provider", "企业微信服务商后台"}[l]
		c.Field = [Languages]string{"instructions of the suite (" + instructions + ")", instructions}[l]
	default:
		return Callback{}, false
	}
	return c, true
}
