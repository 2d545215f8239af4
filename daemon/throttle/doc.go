// Package throttle bounds the processor time of long work, such as walks through all credentials,
// so that requests which take microseconds do not wait behind it. It knows nothing but time: not
// what the work is, who wants it, or what waits meanwhile.
//
// # One budget
//
// A process has one [Budget]. All long work takes slices of a millisecond from it, one at a time, in
// the order in which it asks. After each slice there is a pause of the same length, so all long work
// together takes half of a processor at most, however many clients want some at once. A limit for
// each of them would not do: twenty lists of a large platform would take ten processors.
//
// Within a slice, work lets other threads have the processor every few dozen microseconds. A request
// that comes on the only free processor waits for no longer than that.
//
// The beginning of each [Work] is not delayed, so a small list costs no more than it did. Work that
// waits during its slice, for a lock or for a slow client, loses the slice after five milliseconds,
// unless it has given it back ([Work.Rest]).
package throttle
