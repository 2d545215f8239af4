package config

import (
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

const (
	// maxSocket is the maximum length of a Unix socket's path: Linux's sun_path has 108 bytes,
	// including the terminating zero (unix(7)).
	maxSocket = 107

	// maxTimeout is the maximum timeout of one upstream call. A replaced token stays valid for five
	// minutes, so that a longer call could not prevent an outage.
	maxTimeout = 5 * time.Minute
)

// absolute returns an optional absolute path.
func (t *table) absolute(key, otherwise string) string {
	s := t.text(key, otherwise)
	if !filepath.IsAbs(s) || strings.ContainsRune(s, 0) {
		t.problemf(key, "%q must be an absolute path", clip(s))
		return otherwise
	}
	return filepath.Clean(s)
}

func (t *table) socket(key string) string {
	s := t.absolute(key, "/run/tokend/tokend.sock")
	if len(s) > maxSocket {
		t.problemf(key, "has %d bytes; the path of a Unix socket has at most %d", len(s), maxSocket)
	}
	return s
}

// mode returns an optional file mode, written in octal digits.
func (t *table) mode(key string, otherwise fs.FileMode) fs.FileMode {
	v := t.lookup(key)
	if v == nil || !t.is(unstable.String, key, v, `octal digits in quotation marks, such as "0660"`) {
		return otherwise
	}
	s := string(v.text)
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 || len(s) < 3 || len(s) > 4 {
		t.problemf(key, "%q must be three or four octal digits, such as \"0660\"", clip(s))
		return otherwise
	}
	return fs.FileMode(n)
}

func (t *table) http() *HTTP {
	h := t.table("http")
	if h == nil {
		return nil
	}
	defer h.done()
	h.moved("monitors", "pages")
	h.moved("credential_metrics", "pages")
	if h.require("listen") == nil {
		return nil
	}
	listen := h.text("listen", "")
	if host, ok := hostOf(listen); !ok {
		h.problemf("listen", "%q must be an address and a port, such as \"127.0.0.1:8711\"", clip(listen))
	} else {
		h.exposed("listen", host)
	}
	return &HTTP{Listen: listen, Line: h.at()}
}

// unixPrefix begins the address of a Unix socket.
const unixPrefix = "unix:"

// pages returns the optional listener for pages. Its address must differ from the others of c.
func (t *table) pages(c *Config) *Pages {
	p := t.table("pages")
	if p == nil {
		return nil
	}
	defer p.done()
	pages := &Pages{Monitors: p.networks("monitors"), CredentialMetrics: p.flag("credential_metrics", true), Line: p.at()}
	if p.require("listen") == nil {
		return nil
	}
	listen := p.text("listen", "")
	pages.Listen = listen
	path, unix := strings.CutPrefix(listen, unixPrefix)
	_, tcp := hostOf(listen)
	switch {
	case unix && (!filepath.IsAbs(path) || strings.ContainsRune(path, 0)):
		p.problemf("listen", "%q must be \"unix:\" and an absolute path, such as \"unix:/run/tokend/pages.sock\"", clip(listen))
	case unix && len(path) > maxSocket:
		p.problemf("listen", "has a path of %d bytes; the path of a Unix socket has at most %d", len(path), maxSocket)
	case unix && filepath.Clean(path) == c.Socket:
		p.problemf("listen", "is the path of socket: the pages need a socket of their own")
	case !unix && !tcp:
		p.problemf("listen", "%q must be an address and a port, such as \"127.0.0.1:8710\", or a Unix socket, such as \"unix:/run/tokend/pages.sock\"", clip(listen))
	case c.HTTP != nil && listen == c.HTTP.Listen && !strings.HasSuffix(listen, ":0"): // 0 is any free port
		p.problemf("listen", "is the address of [http] listen: the pages need an address of their own")
	}
	return pages
}

// hostOf returns the host of an address with a port number.
func hostOf(addr string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(addr)
	_, e := strconv.ParseUint(port, 10, 16)
	return host, err == nil && e == nil
}

// exposed warns if other hosts can reach a listener at host.
func (t *table) exposed(key, host string) {
	if !loopback(host) {
		t.warnf(t.lineOf(key), "%s%s: other hosts can connect without encryption: listen on 127.0.0.1, behind a web server with TLS", t.title, key)
	}
}

// networks returns an optional array of addresses and networks.
func (t *table) networks(key string) []netip.Prefix {
	texts, lines := t.texts(key, false)
	var all []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			a = a.Unmap().WithZone("")
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			t.reportf(lines[i], "%s%s: %q must be an address or a network, such as \"192.0.2.7\" or \"192.0.2.0/24\"", t.title, key, clip(text))
			continue
		}
		all = append(all, p.Masked())
	}
	return all
}

func (t *table) upstream() Upstream {
	u := t.table("upstream")
	if u == nil {
		u = &table{reader: t.reader}
	}
	defer u.done()
	return Upstream{
		WeixinURLs: u.urls("weixin_url", "https://api.weixin.qq.com"),
		WorkURL:    u.url("work_url", "https://qyapi.weixin.qq.com"),
		Timeout:    u.duration("timeout", 5*time.Second, maxTimeout),
	}
}

// url returns an optional URL of a host, without a trailing slash.
func (t *table) url(key, otherwise string) string {
	s, _ := t.hostURL(key, t.text(key, otherwise), t.lineOf(key), otherwise)
	return s
}

// urls is like [table.url], and also accepts an array of different URLs.
func (t *table) urls(key, otherwise string) []string {
	switch v := t.value(key); {
	case v == nil || v.kind == unstable.String:
		return []string{t.url(key, otherwise)}
	case v.kind != unstable.Array:
		t.lookup(key)
		t.problemf(key, "must be a string or an array of strings, not %s", typeName(v))
		return []string{otherwise}
	}
	texts, lines := t.texts(key, true)
	var all []string
	known := make(map[string]bool)
	for i, text := range texts {
		s, ok := t.hostURL(key, text, lines[i], otherwise)
		switch same := canonical(s); {
		case !ok:
		case known[same]:
			t.reportf(lines[i], "%s%s: %s is listed twice", t.title, key, s)
		default:
			known[same] = true
			all = append(all, s)
		}
	}
	return all
}

// canonical returns the canonical form of s, a valid URL.
func canonical(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host + u.Path
}

// hostURL returns s as the URL of a host without a trailing slash. If s is invalid, hostURL reports
// a problem on line and returns otherwise.
func (t *table) hostURL(key, s string, line int, otherwise string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		// s is not quoted, because it may contain a password.
		t.reportf(line, "%s%s must be http:// or https:// and a host, optionally with a path, such as %q", t.title, key, otherwise)
		return otherwise, false
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		t.warnf(line, "%s%s: secrets are sent to %s unencrypted", t.title, key, u.Host)
	}
	return strings.TrimRight(s, "/"), true
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
