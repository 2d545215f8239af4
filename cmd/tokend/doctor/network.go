package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The hosts of a default configuration.
var defaultURLs = []string{"https://api.weixin.qq.com", "https://qyapi.weixin.qq.com"}

// urls returns the base URLs of WeChat and WeCom.
func (d *Doctor) urls() []string {
	if d.Config == nil {
		return defaultURLs
	}
	all := slices.Clone(d.Config.Upstream.WeixinURLs)
	if !slices.Contains(all, d.Config.Upstream.WorkURL) {
		all = append(all, d.Config.Upstream.WorkURL)
	}
	return all
}

// network connects to WeChat's hosts step by step, as the daemon does, and makes no call of an API.
func (d *Doctor) network(ctx context.Context) {
	d.proxy()
	for _, base := range d.urls() {
		d.host(ctx, base)
	}
}

// proxy reports a proxy in the environment, which tokend does not use.
func (d *Doctor) proxy() {
	for _, key := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if d.Getenv(key) != "" {
			d.warn("proxy", key, d.say("is set, and tokend does not use it: WeChat's allowlist has this host's address"),
				d.say("allow direct connections to WeChat, or name a gateway as weixin_url and work_url under [upstream]"))
			return
		}
	}
	d.ok("proxy", "", d.say("none in the environment; tokend connects directly"))
}

// host checks the way to one host: DNS, TCP, TLS, and the clock by the answer's Date.
func (d *Doctor) host(ctx context.Context, base string) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		d.fail(exitUsage, "dns", base, d.say("is not a URL"), d.say("fix it under [upstream]"))
		return
	}
	if ctx.Err() != nil {
		d.skip("dns", u.Host, d.say("not checked: the time is over; allow more with --timeout"))
		return
	}
	addresses := d.dns(ctx, u.Hostname())
	if len(addresses) == 0 {
		return
	}
	conn := d.tcp(ctx, u, addresses)
	if conn == nil {
		return
	}
	defer conn.Close()
	if u.Scheme == "https" {
		if conn = d.tls(ctx, u.Hostname(), conn); conn == nil {
			return
		}
	}
	d.clock(ctx, u, conn)
}

// dns resolves a host, unless it is an address.
func (d *Doctor) dns(ctx context.Context, host string) []string {
	if net.ParseIP(host) != nil {
		return []string{host}
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	began := time.Now()
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		text, remedy := d.say("cannot be resolved"), d.say("check /etc/resolv.conf and the DNS server: getent hosts %s", host)
		if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
			text = d.say("no such host")
		} else if ok && e.IsTimeout {
			text = d.say("the DNS server does not answer")
		}
		d.fail(exitLater, "dns", host, text, remedy)
		return nil
	}
	d.ok("dns", host, d.say("%s in %d ms", strings.Join(found, ", "), time.Since(began).Milliseconds()))
	return found
}

// tcp connects to the first of a host's addresses that answers. They share the time of one step.
func (d *Doctor) tcp(ctx context.Context, u *url.URL, addresses []string) net.Conn {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	var first error
	share := d.timeout() / time.Duration(len(addresses))
	for _, address := range addresses {
		ctx, cancel := context.WithTimeout(ctx, share)
		began := time.Now()
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address, port))
		cancel()
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		local, _, _ := net.SplitHostPort(conn.LocalAddr().String())
		d.ok("tcp", u.Host, d.say("connected from %s in %d ms", local, time.Since(began).Milliseconds()))
		return conn
	}
	text, remedy := first.Error(), d.say("check the network and the firewall of this host")
	switch {
	case errors.Is(first, syscall.ECONNREFUSED):
		text = d.say("the connection is refused")
		remedy = d.say("nothing listens there: compare the URL under [upstream], /etc/hosts and DNS with WeChat's")
	case isTimeout(first):
		text = d.say("no answer within %s", d.timeout())
		remedy = d.say("a firewall drops the packets: allow TCP port %s to %s", port, u.Hostname())
	case errors.Is(first, syscall.ENETUNREACH), errors.Is(first, syscall.EHOSTUNREACH):
		text = d.say("there is no route to it")
	}
	d.fail(exitLater, "tcp", u.Host, text, remedy)
	return nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// tls makes a handshake on conn, and closes conn if it fails.
func (d *Doctor) tls(ctx context.Context, host string, conn net.Conn) net.Conn {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: d.Roots})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		text, remedy := d.tlsError(err)
		d.fail(exitLater, "tls", host, text, remedy)
		return nil
	}
	state := secure.ConnectionState()
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	d.ok("tls", host, d.say("%s, certificate of %s, valid for %d days", tls.VersionName(state.Version), leaf.Issuer.String(), int(left.Hours()/24)))
	return secure
}

// tlsError explains a failed handshake.
func (d *Doctor) tlsError(err error) (text, remedy string) {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return d.say("the certificate is not valid now: %s", invalid.Detail), d.say("check this host's clock: timedatectl")
	}
	if of, ok := errors.AsType[x509.HostnameError](err); ok {
		return d.say("the certificate is for another host: %s", strings.Join(of.Certificate.DNSNames, ", ")),
			d.say("another server answers for this name: check DNS, /etc/hosts and proxies")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return d.say("the certificate's issuer is not trusted"),
			d.say("install the certificates: sudo apt install ca-certificates; if a proxy replaces certificates, exclude WeChat's hosts from it")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return d.say("the other side does not speak TLS"), d.say("another server answers for this name: check DNS, /etc/hosts and proxies")
	}
	if isTimeout(err) {
		return d.say("no handshake within %s", d.timeout()), d.say("check the network and the firewall of this host")
	}
	return err.Error(), d.say("check the network and the firewall of this host")
}

// Bounds of the difference between this host's clock and WeChat's.
const (
	someSkew = 30 * time.Second
	muchSkew = 5 * time.Minute
)

// clock compares this host's clock with the Date of an answer on conn. It asks for the root, which
// is no call of an API.
func (d *Doctor) clock(ctx context.Context, u *url.URL, conn net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, u.Scheme+"://"+u.Host+"/", nil)
	if err != nil {
		d.fail(exitUsage, "clock", u.Host, d.say("is not a URL"), d.say("fix it under [upstream]"))
		return
	}
	used := false
	dial := func(context.Context, string, string) (net.Conn, error) {
		if used {
			return nil, net.ErrClosed
		}
		used = true
		return conn, nil
	}
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}
	began := time.Now()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		text := d.say("no answer to HTTP: %s", err.Error())
		if isTimeout(err) {
			text = d.say("no answer to HTTP within %s", d.timeout())
		}
		d.fail(exitLater, "http", u.Host, text, d.say("check the network and the firewall of this host"))
		return
	}
	_ = answer.Body.Close()
	d.ok("http", u.Host, d.say("HTTP status %d in %d ms", answer.StatusCode, time.Since(began).Milliseconds()))
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		d.skip("clock", u.Host, d.say("the answer has no Date"))
		return
	}
	skew := began.Sub(date).Round(time.Second)
	remedy := d.say("synchronize the clock: sudo timedatectl set-ntp true")
	text := d.say("this host's clock is %s ahead of WeChat's", skew)
	if skew < 0 {
		text = d.say("this host's clock is %s behind WeChat's", -skew)
	}
	switch {
	case skew.Abs() >= muchSkew:
		d.fail(exitFailed, "clock", u.Host, text, remedy)
	case skew.Abs() >= someSkew:
		d.warn("clock", u.Host, text, remedy)
	default:
		d.ok("clock", u.Host, text)
	}
}
