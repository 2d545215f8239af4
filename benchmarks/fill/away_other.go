//go:build !unix

package main

import "os"

// orders returns no signals: WeChat is always reachable on this system.
func orders() (signals <-chan os.Signal, stop func()) { return nil, func() {} }

func isAway(os.Signal) bool { return false }
