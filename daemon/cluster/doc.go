// Package cluster shares credentials and grants between hosts that serve the same accounts. The
// shared records are in etcd. Every host keeps its own store, socket and clients. The package knows
// records. It does not know WeChat, sockets, Badger or etcd's client: a [KV] is what it needs of
// etcd.
//
// No lock with a lease can be trusted, because a host that is paused does not notice that its lease
// has ended. So everything is compare-and-swap: a transaction states what its host has seen, and
// etcd refuses it if that is no longer true.
//
// # Terms
//
// A host's session is a lease and the presence key attached to it; the revision that created the
// key is the epoch. A claim is a key that a host writes before it calls WeChat. The revision of
// that transaction is the fencing token: an answer lands only while the claim has it, which proves
// that nobody has called since. Doubt is a claim whose call may have been sent and whose answer was
// not stored. The host that is first in rank fetches again. Only a landing ends doubt.
//
// # Unknown outcomes
//
// A transaction without an answer may have been applied, may be applied up to a minute later, or
// twice. The same transaction is repeated until its outcome is known. What cannot wait for that is
// an [offer]: a host's goroutine repeats it. An answer that must not be lost is on the host's disk
// before its landing is tried, and so is that a call had no answer before the claim is released.
//
// Six rules follow, each because a shorter version has lost a grant:
//
//  1. A claim whose release has been tried is never used again (flight.Give).
//  2. A claim of the host's own session that none of its flights knows is released (claims.strays).
//  3. A host that takes over a claim and makes no call puts the doubt back (claims.release).
//  4. A landing that is refused because the claim is gone leaves doubt, and the doubt is on the
//     host's disk first (offers.doubt).
//  5. A grant is on the host's disk before the landing is tried. If it cannot land, it becomes a
//     further generation of the stored grant (Store.shelved).
//  6. The compare of the session does not protect a landing: the fencing token does. Claims are
//     not attached to the lease.
//
// # Goroutines
//
// [Host.Run] starts and waits for all of them: the session, the heartbeats, the mirror (which
// follows etcd's watch), the offers, and a goroutine that passes claims on to the engine.
//
// # Locks
//
// claims.mu, offers.mu and Store.mu are held for a few instructions, and never together. The engine
// has the names of records locked while it claims, puts and lands. Whatever the host learns then
// about other records goes back to the engine as an error, or through Host.queue.
package cluster
