// Package generator sends requests to a server on a Unix socket and measures the rate of replies
// and the latency of each. It knows the form of a request and the end of a reply in three protocols
// (tokend's, RESP and memcached's text protocol). It does not know names, credentials or flags.
//
// # Measurements
//
// In a closed loop (no Rate) each connection sends a batch, waits for all its replies, and sends
// the next: the result is the server's capacity. The latency of a request counts from when its
// batch was sent.
//
// In an open loop (a Rate) requests are due at fixed times, whether or not earlier ones have been
// answered. Latency counts from when a request was due, not from when a connection was free: a
// server that stalls for a second shows a second for all requests due in that time.
//
// With Reconnect the latency includes connecting, and waiting for the server's listen queue.
//
// # Overhead
//
// On Linux each thread is one epoll loop with raw system calls: one to receive, one to send, one
// look at the clock for each event, no allocation for a request, latencies counted in a [Histogram]
// of fixed size. On other systems there is a goroutine for each connection, which costs about twice
// as much. [Result.CPU] is the CPU time of the generator itself: if it is a core per thread, the
// generator was the limit.
//
// # Goroutines
//
//	goroutine    started by    waited for by    owns
//	loop         Run           Run              its connections and its counts (Linux)
//	connection   Run           Run              one connection (other systems)
package generator
