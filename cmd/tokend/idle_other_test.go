//go:build !linux

package main

// ticking is where [TestIdle] is.
func ticking() {}
