//go:build !linux

package main

// stranger is of use where tests run as several users.
func stranger() {}
