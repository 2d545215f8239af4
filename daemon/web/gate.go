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

// Monitors are the networks besides this host's own loopback from which the pages may be seen.
type Monitors []netip.Prefix

// handedOn are the header fields by which those who pass requests on say so.
var handedOn = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Via"}

// unseen returns how whoever has sent r is refused a page; its status is 0 if it may see it.
//
// Callbacks must be open to everybody, so a web server in front of this listener may pass on more
// than it was meant to. Each of the signs of that is enough: a header field that says so, a host
// that is no address of ours, HTTP/1.0, which is what nginx makes of a request unless it is told
// otherwise; and the kernel's word that the connection is of a user who may not see, as that of a
// web server is where there are access rules. The host also keeps out a page of somebody else's, in
// a browser on this host, whose name has been made to lead here.
func (s *Server) unseen(r *http.Request) refusal {
	for _, field := range handedOn {
		if _, ok := r.Header[field]; ok {
			return forbidden("passed on by another server (" + field + "): ask tokend itself")
		}
	}
	switch remote, local, ok := ends(r); {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return forbidden("HTTP/1.0, as of a server that passes it on: ask by HTTP/1.1")
	case !addressed(r.Host):
		return forbidden("the host asked for is neither an address nor localhost: ask by the address")
	case !ok:
		return forbidden("who asks is not known")
	case s.monitor(remote.Addr()):
		return refusal{}
	case !remote.Addr().IsLoopback():
		return forbidden("not from this host: put its address into monitors under [http] if it may see this")
	case s.cfg.Sees == nil:
		return refusal{}
	default:
		return s.unseenBy(connOf(r.Context()), remote, local)
	}
}

func forbidden(reason string) refusal {
	return refusal{status: http.StatusForbidden, reason: reason, page: true}
}

// unseenBy is unseen for a user of this host, whose connection c is.
func (s *Server) unseenBy(c *conn, remote, local netip.AddrPort) refusal {
	if err := s.identify(c, remote, local); err != nil {
		return refusalOf(err)
	}
	switch {
	case c == nil || !c.known:
		return forbidden("the kernel does not tell whose connection it is")
	case !s.cfg.Sees(c.uid):
		return forbidden(fmt.Sprintf("user %d could not learn this over the socket: it has to be able to open that, and to have LIST, STATUS and STATS on *", c.uid))
	}
	return refusal{}
}

// lookupPause is how many times as long as the last look at the kernel's table has taken passes
// before the next: the table has a line for each connection of the host, and whoever connects again
// and again shall not make tokend read it all the time.
const lookupPause = 9

// identify finds out whose connection c is, once. That does not change: it is who has made it,
// whoever uses it.
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
