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

// userOf returns the user who opened the socket at the remote end of a connection on this host,
// according to the kernel's tables. It reads a line per connection of the host.
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

// searchUser searches a kernel table for the socket bound to own and connected to other. Only
// established connections count. A socket that is shut down, even only for writing, cannot be
// distinguished from the remains of a closed one, which the table attributes to root.
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

// parseEnd parses an address as the kernel prints it: four-byte words in the host's byte order, and
// the port.
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
