//go:build !linux

package main

// protection says how the process is protected.
func protection() string { return "" }
