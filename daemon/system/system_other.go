//go:build !linux && !darwin && !freebsd

package system

// Not a mistake: there is no such thing, and the compiler says so.
var _ = tokend_runs_on_Linux_macOS_and_FreeBSD_and_its_clients_anywhere
