//go:build !linux

package main

// shortenSlices does nothing: only Linux has such a request.
func shortenSlices() {}
