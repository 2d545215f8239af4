//go:build !linux

package memlock

// Text does nothing: only Linux is for production.
func Text[T ~string](T) {}

// Object does nothing.
func Object(any) {}
