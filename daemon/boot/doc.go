// Package boot tells one boot of the host from another, and how long this one has lasted. What is
// written to disk by the one and measured by the other is a matter for others.
package boot
