//go:build !linux && !darwin && !freebsd

package system

// This identifier is undefined on purpose: the compiler's error names the supported systems.
var _ = tokend_runs_on_Linux_macOS_and_FreeBSD_and_its_clients_anywhere
