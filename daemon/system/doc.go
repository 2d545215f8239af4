// Package system restricts tokend to the systems that it supports: Linux, macOS and FreeBSD, whose
// kernels identify the peer of a Unix socket. Packages that cannot work elsewhere import it. On
// other systems the build then fails with one clear error. The client libraries build everywhere
// and do not import it.
package system
