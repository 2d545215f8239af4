//go:build !linux

package main

// ticking is for [TestIdle].
func ticking() {}
