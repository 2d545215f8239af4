// Package generator asks a server on a Unix socket the same kind of question over and over, and
// measures how many answers come and how long each took. It knows how a request and
// the end of a reply look in three languages (tokend's, RESP and memcached's text protocol) and
// nothing of what is asked for: no names, no credentials, no flags.
//
// # What is measured
//
// In a closed loop (no Rate) each connection sends a batch, waits for all its replies, and sends
// the next: the server sets the pace, and what comes out is what it can do. The latency of a
// request counts from the moment its batch was sent.
//
// In an open loop (a Rate) requests are due at fixed moments, whether or not earlier ones have been
// answered. The latency counts from the moment a request was due, not from when a connection was
// free for it: a server that stands still for a second shows a second, and not one slow request
// among many fast ones that were never sent.
//
// With Reconnect the latency includes connecting, and waiting for the server's backlog.
//
// # So as not to be the limit
//
// On Linux each thread is one epoll loop over raw system calls: one to receive, one to send, one
// look at the clock for each event, nothing allocated for a request, latencies counted in a
// [Histogram] of fixed size. Elsewhere there is a goroutine for each connection, which costs about
// twice as much. [Result.CPU] is what the generator itself used: at a core per thread, it was the
// generator that was measured.
//
// # Goroutines
//
//	goroutine    started by    waited for by    owns
//	loop         Run           Run              its connections and its counts (Linux)
//	connection   Run           Run              one connection (elsewhere)
package generator
