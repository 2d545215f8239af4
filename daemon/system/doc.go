// Package system says on which systems tokend runs: Linux, macOS and FreeBSD, whose kernels tell
// who is at the other end of a Unix socket. Whatever cannot work on another imports it, so that
// building tokend there ends with one reason and not with whatever happens to be missing first. The
// clients, which need nothing of this, do not. It knows nothing else.
package system
