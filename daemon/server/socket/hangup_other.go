//go:build !linux

package socket

import "syscall"

// AwaitHangup cannot distinguish a peer that has closed from one that has only shut down its sending
// side. It assumes the latter, so a request that was sent is answered.
func AwaitHangup(syscall.Conn) bool { return false }
