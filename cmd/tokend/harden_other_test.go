//go:build !linux

package main

// protection describes the protection of the process.
func protection() string { return "" }
