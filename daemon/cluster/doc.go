// Package cluster shares credentials and grants between hosts that serve the same accounts. The
// shared records are in etcd. Every host keeps its own store, socket and clients. The package knows
// records. It does not know WeChat, sockets, Badger or etcd's client: a [KV] is what it needs of
// etcd.
//
// No lock with a lease can be trusted, because a host that is paused does not notice that its lease
// has ended. So everything is compare-and-swap: a transaction states what its host has seen, and
// etcd refuses it if that is no longer true.
package cluster
