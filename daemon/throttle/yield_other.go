//go:build !linux

package throttle

import "runtime"

func yield() { runtime.Gosched() }
