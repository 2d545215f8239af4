// Package store keeps records in Badger: durable before Put returns, sealed
// where a key is configured, and told apart from a damaged or foreign store when
// it is opened. It is the only importer of Badger, and it knows neither what the
// records mean nor that there is a WeChat.
//
// # On disk
//
// The state directory is 0700 and holds
//
//	store/               the database
//	store/HEADER         whether the records are sealed, and a check of the key
//	store/SEQUENCE       the number of the last commit
//	store/*.mem, *.sst   Badger's
//	store.broken-<time>  a database that could not be read
//	store.new, store.old while a database is rewritten with a key; see below
//
// A record's key in Badger, and what is kept there, is
//
//	key    table 0x00 key
//	value  0x01 value                              in clear
//	       0x02 nonce[12] ciphertext tag[16]       sealed by AES-256-GCM
//
// with the format byte and the whole key as associated data: a record moved under
// another name does not open. Keys, which are names, stay in clear. Every commit
// also writes its number under 0x00 "sequence".
//
// # Sealing
//
// The key that seals is derived from the configured one, so that other files may be
// sealed with the same key. Nonces are random: 2^32 commits of records with one
// key are safe, and at a hundred a second that is more than a year; at the rate of a host
// with a hundred thousand credentials, nine.
//
// A store in clear that is opened with a key is rewritten, sealed, beside the
// old one, which is then replaced and removed. The old bytes are gone from every
// file; that the disk itself still holds them in free blocks is beyond a program's
// reach. A sealed store is never opened without its key, nor with another.
//
// # What is found out at open
//
// Every block of every table is checked. A flipped byte in a write-ahead log
// makes Badger drop, silently, all that follows in that log; so SEQUENCE
// names the last commit that was acknowledged, and an older one found in the
// database says how many are missing ([Store.Missing]). SEQUENCE is written after each commit, and not
// synced: killing the process loses nothing of it; a power cut
// may set it back, and then it raises no alarm, because Badger's own log is
// synced. What it cannot see is a gap in an older log while a younger one is whole, which
// takes a crash in the milliseconds between the filling of a log and its flush.
//
// # What Badger does to the process
//
// Badger writes through memory maps: on a full disk it dies of SIGBUS, which no
// program survives. Free space is therefore looked at before it is opened and before each
// commit ([ErrDiskFull]). A panic while opening is taken for damage. Some
// checks of Badger's own consistency end the process (log.Fatal); none is reached by
// the damage that the tests here do.
package store
