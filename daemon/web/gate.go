package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Monitors are the networks from which the pages may be seen by any user. They may contain loopback
// addresses: all users of this host then see the pages.
type Monitors []netip.Prefix

// forwarding are the header fields that proxies add to forwarded requests.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Via"}

// unseen returns the rejection of r for a page. Its status is 0 if the client may see the page.
//
// A web server on this host may have rights at the socket, and may forward strangers' requests to
// this listener by mistake. Each sign of that is enough to reject: a forwarding header; a host that
// is not an address; HTTP/1.0, which nginx uses for forwarded requests by default. The check of the
// host also stops DNS rebinding: a foreign page in a browser on this host whose name resolves to
// this address.
func (s *Server) unseen(r *http.Request) refusal {
	for _, field := range forwarding {
		if _, ok := r.Header[field]; ok {
			return forbidden("forwarded by a proxy (" + field + "): connect to tokend directly")
		}
	}
	c := connOf(r.Context())
	switch remote, local, ok := ends(r); {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return forbidden("HTTP/1.0, which proxies use: use HTTP/1.1")
	case !addressed(r.Host):
		return forbidden("the requested host is neither an IP address nor localhost: use the IP address")
	case c.unix():
		return s.unseenByPeer(c)
	case !ok:
		return forbidden("unknown client address")
	case s.monitor(remote.Addr()):
		return refusal{}
	case !remote.Addr().IsLoopback():
		return forbidden("not from this host: to allow this address, add it to monitors under [pages]")
	case s.cfg.Sees == nil:
		return refusal{}
	default:
		return s.unseenBy(c, remote, local)
	}
}

func forbidden(reason string) refusal {
	return refusal{status: http.StatusForbidden, reason: reason, page: true}
}

// unseenByPeer is unseen for the peer of c, a connection over a Unix socket.
func (s *Server) unseenByPeer(c *conn) refusal {
	if s.cfg.Admits == nil {
		return refusal{}
	}
	switch uid, ok, err := s.cfg.Admits(c.Conn); {
	case err != nil:
		return forbidden("the kernel does not report the user of the connection: " + err.Error())
	case !ok:
		return forbiddenTo(uid)
	}
	return refusal{}
}

// unseenBy is unseen for a user of this host, the owner of the TCP connection c. The kernel reports
// the user who opened the socket, even if another process uses it later.
func (s *Server) unseenBy(c *conn, remote, local netip.AddrPort) refusal {
	if c == nil {
		return forbidden("unknown client")
	}
	if !c.looked {
		c.uid, c.unknown = s.userOf(remote, local)
		c.looked = true
	}
	switch {
	case c.unknown != nil:
		return forbidden("the kernel does not report the user of the connection: " + c.unknown.Error())
	case !s.cfg.Sees(c.uid):
		return forbiddenTo(c.uid)
	}
	return refusal{}
}

// forbiddenTo returns the rejection for a user of this host without the rights.
func forbiddenTo(uid uint32) refusal {
	return forbidden(fmt.Sprintf("user %d cannot get this over the socket: it needs permission to open the socket, and LIST, STATUS and STATS on *", uid))
}

// monitor reports whether a is one of the configured monitors.
func (s *Server) monitor(a netip.Addr) bool {
	m := s.monitors.Load()
	return m != nil && slices.ContainsFunc(*m, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ends returns the two addresses of the connection of r.
func ends(r *http.Request) (remote, local netip.AddrPort, ok bool) {
	tcp, isTCP := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if !isTCP || err != nil {
		return remote, local, false
	}
	return plain(remote), plain(tcp.AddrPort()), true
}

// plain returns a in canonical form, so that two notations of one address are equal.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// addressed reports whether a request's host is an IP address or localhost, with or without a port.
func addressed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
