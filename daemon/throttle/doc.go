// Package throttle bounds the processor time of long work, such as walks through all credentials,
// so that requests of microseconds do not wait behind it. It does not know what the work is, who
// requested it, or what waits for it.
//
// # One budget
//
// A process has one [Budget]. Long work gets slices of 1 ms from it, one at a time, in the order of
// arrival. A pause of the same length follows each slice. So all long work together uses at most
// half of a processor, whatever the number of clients. A limit per client would not be enough:
// twenty lists of a large platform would use ten processors.
//
// A reload gets its slices before all other work ([Budget.BeginUrgent]): a hundred lists do not
// delay the removal of an account or of a user's rights. A scrape gets every second slice
// ([Budget.BeginShort]): a hundred lists do not delay it until Prometheus gives up.
//
// Within a slice, work yields the processor to other threads every few dozen microseconds. A
// request on the only free processor waits at most that long.
//
// The start of each [Work] is not delayed, so a small list costs nothing extra. Work that blocks
// during its slice, on a lock or a slow client, loses the slice after 5 ms. [Work.Rest] returns the
// slice earlier.
package throttle
