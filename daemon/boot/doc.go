// Package boot identifies the current boot of the host and measures the time since it. It does not
// know what is stored or timed with them.
package boot
