//go:build !linux

package main

// stranger is for tests that run as several users.
func stranger() {}
