//go:build !linux

package server

import "tokend/daemon/access"

// unitOf returns "-": there is no systemd.
func unitOf(access.Peer) string { return "-" }
