// Package throttle bounds the processor time of long work, such as walks through all credentials,
// so that requests which take microseconds do not wait behind it. It knows nothing but time: not
// what the work is, who wants it, or what waits meanwhile.
//
// # One budget
//
// A process has one [Budget]. All long work takes slices of a millisecond from it, in the order in
// which it asks. Each slice reserves twice its length, so all long work together takes half of a
// processor at most, however many clients want some at once. A limit for each of them would not
// do: twenty lists of a large platform would take ten processors.
//
// The beginning of each [Work] is not delayed, so a small list costs no more than it did. Nothing
// is held while a Work waits, be it for its slice, for a lock or for a slow client: a slice that is
// not used is lost, and delays the others by two milliseconds.
package throttle
