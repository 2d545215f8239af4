package web

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's structures of sock_diag(7), in bytes.
const (
	diagHeader  = 16 // struct nlmsghdr
	diagSocket  = 48 // struct inet_diag_sockid
	diagRequest = diagHeader + 8 + diagSocket
	diagAnswer  = diagHeader + 4 + diagSocket + 20 // struct inet_diag_msg
)

// sockDiagByFamily is SOCK_DIAG_BY_FAMILY of linux/sock_diag.h.
const sockDiagByFamily = 20

// established is the state of a connection in which the kernel reports its owner. A socket that is
// closed or shut down, even only for writing, is attributed to root.
const established = 1

// diagTimeout bounds a lookup. The kernel has answered when the request has been sent.
const diagTimeout = time.Second

// userOf returns the user who opened the socket at the remote end of a connection on this host. It
// asks the kernel for that one socket, so its cost does not depend on the number of connections of
// the host.
func userOf(remote, local netip.AddrPort) (uid uint32, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	timeout := unix.NsecToTimeval(int64(diagTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Sendto(fd, askUser(remote, local), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	var answer [4096]byte
	n, from, err := unix.Recvfrom(fd, answer[:], 0)
	if err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
		return 0, errors.New("sock_diag: an answer that is not the kernel's")
	}
	return parseUser(answer[:n], remote, local)
}

// askUser returns the request for the socket bound to own and connected to other.
func askUser(own, other netip.AddrPort) []byte {
	b := make([]byte, 0, diagRequest)
	b = binary.NativeEndian.AppendUint32(b, diagRequest)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port
	family := byte(unix.AF_INET)
	if own.Addr().Is6() {
		family = unix.AF_INET6
	}
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, 1<<established)
	b = appendSocket(b, own, other)
	b = binary.NativeEndian.AppendUint32(b, 0)             // any interface
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // no cookie
}

// appendSocket appends the ports and addresses of a socket as in struct inet_diag_sockid.
func appendSocket(b []byte, own, other netip.AddrPort) []byte {
	b = binary.BigEndian.AppendUint16(b, own.Port())
	b = binary.BigEndian.AppendUint16(b, other.Port())
	for _, a := range []netip.Addr{own.Addr(), other.Addr()} {
		var field [16]byte
		copy(field[:], a.AsSlice())
		b = append(b, field[:]...)
	}
	return b
}

// parseUser returns the user in the kernel's answer about the socket bound to own and connected to
// other.
func parseUser(b []byte, own, other netip.AddrPort) (uid uint32, err error) {
	const stateField, socketField = diagHeader + 1, diagHeader + 4
	const uidField = socketField + diagSocket + 12 // after expires, rqueue and wqueue
	if len(b) < diagHeader+4 {
		return 0, errors.New("sock_diag: the answer is cut short")
	}
	if kind := binary.NativeEndian.Uint16(b[4:]); kind == unix.NLMSG_ERROR {
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(b[diagHeader:])))
		return 0, fmt.Errorf("sock_diag: %w", errno)
	} else if kind != sockDiagByFamily || len(b) < diagAnswer {
		return 0, errors.New("sock_diag: the answer is cut short")
	}
	if b[stateField] != established {
		return 0, errors.New("sock_diag: the connection is closed")
	}
	if want := appendSocket(nil, own, other); string(b[socketField:socketField+len(want)]) != string(want) {
		return 0, errors.New("sock_diag: the answer is about another connection")
	}
	return binary.NativeEndian.Uint32(b[uidField:]), nil
}
