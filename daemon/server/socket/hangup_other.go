//go:build !linux

package socket

import "syscall"

// AwaitHangup cannot distinguish a close from a shutdown of the sending side. It assumes the
// latter, so a request that was sent is answered.
func AwaitHangup(syscall.Conn) bool { return false }
