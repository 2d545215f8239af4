package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Monitors are the networks besides this host's own loopback from which the pages may be seen.
type Monitors []netip.Prefix

// handedOn are the header fields by which those who pass requests on say so.
var handedOn = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Via"}

// unseen says why whoever has sent r may not see a page; "" if it may.
//
// Callbacks must be open to everybody, so a web server in front of this listener may pass on more than it was meant to.
// Each of the signs of that is enough: a header field that says so, a host that is no address of ours, HTTP/1.0, which is
// what nginx makes of a request unless it is told otherwise; and the kernel's word that the connection is of a user who
// may not see, as that of a web server is where there are access rules. The host also keeps out a page of somebody else's, in a
// browser on this host, whose name has been made to lead here.
func (s *Server) unseen(r *http.Request) string {
	for _, field := range handedOn {
		if _, ok := r.Header[field]; ok {
			return "passed on by another server (" + field + "): ask tokend itself"
		}
	}
	switch remote, local, ok := ends(r); {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return "HTTP/1.0, as of a server that passes it on: ask by HTTP/1.1"
	case !addressed(r.Host):
		return "the host asked for is neither an address nor localhost: ask by the address"
	case !ok:
		return "who asks is not known"
	case s.monitor(remote.Addr()):
		return ""
	case !remote.Addr().IsLoopback():
		return "not from this host: put its address into monitors under [http] if it may see this"
	case s.cfg.Sees == nil:
		return ""
	default:
		return s.unseenBy(r, remote, local)
	}
}

// unseenBy is unseen for a user of this host.
func (s *Server) unseenBy(r *http.Request, remote, local netip.AddrPort) string {
	uid, ok := connOf(r.Context()).user(remote, local)
	switch {
	case !ok:
		return "the kernel does not tell whose connection it is"
	case !s.cfg.Sees(uid):
		return fmt.Sprintf("user %d could not learn this over the socket: it has to be able to open that, and to have LIST, STATUS and STATS on *", uid)
	}
	return ""
}

// monitor reports whether a is one of the configured monitors.
func (s *Server) monitor(a netip.Addr) bool {
	m := s.monitors.Load()
	return m != nil && slices.ContainsFunc(*m, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ends returns the addresses of the connection of r.
func ends(r *http.Request) (remote, local netip.AddrPort, ok bool) {
	tcp, isTCP := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if !isTCP || err != nil {
		return remote, local, false
	}
	return plain(remote), plain(tcp.AddrPort()), true
}

// plain returns a without what tells two ways of writing one address apart.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// addressed reports whether host, of a request, is an address or localhost, with or without a port.
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
