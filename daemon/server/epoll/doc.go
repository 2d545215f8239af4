// Package epoll does the system calls of an event loop on Linux. A [Poller] waits for events, an
// [Acceptor] accepts the connections of a listening socket, and a [Wire] is one connection. It
// knows nothing of the protocol, sessions or users.
//
// No call but Wait blocks, so Go's scheduler is not told of them. That saves nearly half of the
// processor time of a busy loop.
//
// # Ownership
//
// A loop is one goroutine. It owns the Poller, the Acceptor and all Wires, and closes them. It may
// lend a Wire to another goroutine, which uses the Wire as a [net.Conn] and may wait in it. While
// the Wire is lent, the loop calls nothing but Happened. Any goroutine may call Poller.Wake and
// Wire.Abort.
package epoll
