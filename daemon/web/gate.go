package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Monitors are the networks, besides this host's loopback, from which the pages may be seen.
type Monitors []netip.Prefix

// forwarding are the header fields that proxies add to forwarded requests.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Via"}

// unseen returns the rejection of r for a page. Its status is 0 if the client may see the page.
//
// Callbacks must be open to everybody, so a web server in front of this listener may forward more
// than intended. Each sign of that is enough to reject: a forwarding header; a host that is not an
// address; HTTP/1.0, which nginx uses for forwarded requests by default; a connection of a user who
// may not see the pages, such as a web server's user under access rules. The check of the host also
// stops DNS rebinding: a foreign page in a browser on this host whose name resolves to this
// address.
func (s *Server) unseen(r *http.Request) refusal {
	for _, field := range forwarding {
		if _, ok := r.Header[field]; ok {
			return forbidden("forwarded by a proxy (" + field + "): connect to tokend directly")
		}
	}
	switch remote, local, ok := ends(r); {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return forbidden("HTTP/1.0, which proxies use: use HTTP/1.1")
	case !addressed(r.Host):
		return forbidden("the requested host is neither an IP address nor localhost: use the IP address")
	case !ok:
		return forbidden("unknown client address")
	case s.monitor(remote.Addr()):
		return refusal{}
	case !remote.Addr().IsLoopback():
		return forbidden("not from this host: to allow this address, add it to monitors under [http]")
	case s.cfg.Sees == nil:
		return refusal{}
	default:
		return s.unseenBy(connOf(r.Context()), remote, local)
	}
}

func forbidden(reason string) refusal {
	return refusal{status: http.StatusForbidden, reason: reason, page: true}
}

// unseenBy is unseen for a user of this host, the owner of connection c.
func (s *Server) unseenBy(c *conn, remote, local netip.AddrPort) refusal {
	if err := s.identify(c, remote, local); err != nil {
		return refusalOf(err)
	}
	switch {
	case c == nil || !c.known:
		return forbidden("the kernel does not report the user of the connection")
	case !s.cfg.Sees(c.uid):
		return forbidden(fmt.Sprintf("user %d cannot get this over the socket: it needs permission to open the socket, and LIST, STATUS and STATS on *", c.uid))
	}
	return refusal{}
}

// lookupPause is the pause after a lookup, as a multiple of the lookup's duration. The kernel's
// table has a line for each connection of the host. A client that reconnects repeatedly must not
// keep tokend busy reading the table.
const lookupPause = 9

// identify looks up the user of connection c, once. The kernel reports the user who opened
// the socket, even if another process uses it later.
func (s *Server) identify(c *conn, remote, local netip.AddrPort) error {
	if c == nil || c.looked.Load() {
		return nil
	}
	return s.attempt(s.lookups, func() error {
		time.Sleep(time.Until(s.lookAgain))
		began := time.Now()
		c.uid, c.known = s.userOf(remote, local)
		c.looked.Store(true)
		s.lookAgain = time.Now().Add(lookupPause * time.Since(began))
		return nil
	})
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
