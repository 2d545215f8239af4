// Package kvtest is an etcd in memory, for tests and the demonstration. It has revisions, leases,
// transactions, watches and compaction, and behaves like etcd in everything that the protocol of
// daemon/cluster uses. [Conformance] is the list of that behavior, as tests that any etcd must
// pass. The package does not know what hosts store.
//
// It works in real time, and in virtual time inside a testing/synctest bubble. It starts no
// goroutines of its own, only timers, and uses no random numbers: equal calls have equal results.
//
// # Faults
//
// Three things can fail: the [Etcd], one of its members, and the connection of a [Client], which is
// all that one host uses. The test chooses the fate of each request by [Client.Faults]. It also
// chooses what etcd leaves open:
//
//   - A request without an answer is applied, applied late, applied twice, or not applied.
//   - A request that arrives while there is no quorum is applied as soon as there is one.
//   - A watch survives a restore. As any watch from a future revision, it then waits until etcd
//     reaches its next revision.
//   - A compaction drops deletions at its own revision, as etcd 3.4 and 3.5 do.
package kvtest
