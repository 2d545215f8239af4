//go:build !linux

package throttle

func yieldThread() {}
