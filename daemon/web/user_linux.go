package web

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// userOf returns the user whose connection on this host goes from remote to local: who made the
// socket at the other end, by the kernel's tables. It reads as many lines as there are connections
// on the host.
func userOf(remote, local netip.AddrPort) (uid uint32, ok bool) {
	tables := []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}
	if remote.Addr().Is6() {
		tables = tables[1:]
	}
	for _, path := range tables {
		f, err := os.Open(path)
		if err != nil {
			continue // a system without IPv6
		}
		uid, ok = searchUser(f, remote, local)
		_ = f.Close()
		if ok {
			return uid, true
		}
	}
	return 0, false
}

// searchUser looks for the socket that is bound to own and connected to other in a table of the
// kernel's. One whose user has shut it down, even if only for sending, is not told from what is
// left of a closed one, which the table says is root's: only what is established counts.
func searchUser(table io.Reader, own, other netip.AddrPort) (uid uint32, ok bool) {
	const (
		ownField, otherField, stateField, uidField = 1, 2, 3, 7
		established                                = "01"
	)
	port := ":" + strings.ToUpper(hex.EncodeToString(binary.BigEndian.AppendUint16(nil, own.Port()))) + " "
	for lines := bufio.NewScanner(table); lines.Scan(); {
		line := lines.Text()
		if !strings.Contains(line, port) {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) <= uidField || fields[stateField] != established {
			continue
		}
		if a, valid := parseEnd(fields[ownField]); !valid || a != own {
			continue
		}
		if a, valid := parseEnd(fields[otherField]); !valid || a != other {
			continue
		}
		n, err := strconv.ParseUint(fields[uidField], 10, 32)
		return uint32(n), err == nil
	}
	return 0, false
}

// parseEnd reads an address as the kernel prints it: words of four bytes, each as a number of the
// host's, and the port.
func parseEnd(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	n, e := strconv.ParseUint(port, 16, 16)
	if err != nil || e != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}
