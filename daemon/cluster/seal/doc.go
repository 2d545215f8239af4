// Package seal names and encrypts what a cluster stores in etcd. A party that can read etcd, its
// log or its backups learns table letters, host names, sizes and times of change, and nothing else.
// The package does not know etcd, records or hosts.
//
// # Secrets
//
// All hosts share a random secret of the cluster. It is in the [Root], sealed by the configured
// encryption key. Everything else is derived from the cluster's secret alone, so a new encryption
// key changes one value in etcd.
//
// # Names
//
// The name of a record is not part of its key. Its place is taken by an ID, an HMAC of table and
// name, because customers' app IDs are a customer list. The name is inside the sealed value.
//
// # Values
//
// The associated data of a sealed value contains the whole key. A value that was changed, moved to
// another key or sealed by another cluster does not open. A party that can write to etcd can still
// restore an older value of the same key; the caller must detect that.
package seal
