//go:build !linux

package server

// unitOf returns "-": there is no systemd.
func unitOf(Peer) string { return "-" }
