// Package store stores records durably. Put returns after the records are durable. With a key they
// are sealed. Open detects damaged and foreign stores. The records are in Badger, which only this
// package imports. Irreplaceable records are also in a journal beside Badger. The package does not
// know what the records mean. It knows only which tables are irreplaceable.
//
// # Files
//
// The state directory has mode 0700 and contains
//
//	store/                  the database
//	store/HEADER            whether the records are sealed, and a check of the key
//	store/SEQUENCE          the number of the last commit
//	store/*.mem, *.sst      Badger's files
//	grants.journal          the journal; package journal defines its format
//	ballast                 space that can be given up on a full disk
//	*.broken-<time>         a database or a journal that could not be read
//	store.new, store.old, grants.journal.next
//	                        during a change of the key; see below
//	restore.tmp             during the restore of a backup
//
// A record's key and value in Badger are
//
//	key    table 0x00 key
//	value  0x01 value                                 in clear
//	       0x02 nonce[12] ciphertext tag[16]          sealed by AES-256-GCM
//	       0x03 commit[8] value                       irreplaceable, in clear
//	       0x04 commit[8] nonce[12] ciphertext tag[16]
//	                                                  irreplaceable, sealed
//
// In a cluster, a value that is a copy of one in etcd is 0xff revision[8] value instead.
//
// The associated data is everything before the nonce and the whole key, so a record that was moved
// to another key does not open. Keys, which are names, are in clear. Every commit also writes its
// number under 0x00 "sequence".
//
// # The journal
//
// A Put with a grant or a code is written to the journal first, as a whole, and is then durable.
// Concurrent Puts share one journal entry, which is stored completely or not at all. The database
// follows with everything that has arrived since, within a tenth of a second. If commits to the
// database are slow, it follows later, but within a second, so that they take at most a tenth of
// the time. Many grants then cost the database one sync, a grant that is stored repeatedly is
// written once, and no such Put waits for the database. Reads overlay pending journal entries on
// the database.
//
// The order of Puts is preserved. A Put without records for the journal reaches the database after
// all earlier Puts, or in one commit with them. Each write to the journal or the database takes one
// sync. After a kill, pending records are in the journal only, and the next start copies them to
// the database.
//
// A Put succeeds if either the journal or the database takes it. The journal alone suffices while
// the database is full, failed or being reopened. The database alone suffices while the journal
// cannot be rewritten. The journal is rewritten before the first Put that it rejected is
// acknowledged, so after a transient error no grant has only one copy. Both carry the commit
// number. At open, each record is set to the newest version that either has. A grant that is
// missing in the database is restored from the journal unless the journal contains its deletion. A
// code that was deleted while the journal rejected writes may therefore return after a crash;
// WeChat rejects it the second time. Replaceable records are replayed only if the database has lost
// nothing. Otherwise a superseded token would return.
//
// Superseded journal entries are removed by compaction in the background. If the journal is
// unreadable at that time, the missing records are taken from the database and from the pending
// records.
//
// Reconciling the two requires reading both. After a clean shutdown the first and the last frames
// of the journal may show no commit later than the database's last one. The database is then
// current and can be read during the comparison ([Config].Ahead). A run that was killed leaves a
// log of Badger's and is recognized by it. In all other cases Open returns after the comparison.
//
// # Copies
//
// A Copy is committed to Badger without a sync, for records that the caller can get again. It does
// not advance the number of the last commit, so a power cut that undoes it is not reported as a
// loss. The sync of the next commit makes it durable, because both are in one log, or because a log
// with unsynced commits is synced when Badger begins the next one. If a commit is the first in a
// log, a power cut during its sync may keep the commit and undo copies in the log before. While
// records of the journal are pending, a Copy is committed with them, like a Put.
//
// # Sealing
//
// The keys for records and journal are derived from the configured key, so that other files can be
// sealed with it too. Nonces are random. 2^32 commits with one key are safe. That is more than a
// year at a hundred commits a second, and nine years at the rate of a host with a hundred thousand
// credentials.
//
// If the key changes ([Rekey]), or a store in clear is to be sealed, the store and
// the journal are rewritten beside the old ones. Three renames replace the old ones. The rename of
// the database makes the new key the valid one, and Open finishes an interruption between the
// renames. The old bytes are then in no file, but a program cannot erase the disk's free blocks. A
// sealed store is never opened without its key and never converted to clear. With a key, a store,
// journal or backup in clear is rejected, because anyone with write access could have created it.
// [Config.AcceptClear] is the one exception, and it rejects a store that is only partly in clear.
//
// # Checks at open
//
// Every block of every table is checked. After a flipped byte in a write-ahead log, Badger silently
// drops the rest of that log. SEQUENCE therefore contains the number of the last acknowledged
// commit. If the database has an older one, the difference is the number of missing commits
// ([Store.Missing]). SEQUENCE is written after each commit without a sync. A kill loses nothing of
// it. A power cut may reset it to an older number, which raises no alarm; the commits themselves
// are safe, because Badger's log is synced. SEQUENCE cannot detect a gap in an older log while a
// newer one is intact. That requires a crash in the milliseconds between the filling of a log and
// its flush.
//
// # Disk errors
//
// Badger writes through memory maps. On a full disk it is killed by SIGBUS, which no program
// survives. The free space is therefore checked before each commit ([ErrDiskFull]), and the ballast
// provides the space for opening and closing. The journal is written with ordinary writes over
// zeros allocated in advance. It continues on a full disk: it takes pieces of the ballast, down to
// the space for opening, and compaction frees space.
//
// A disk that rejects writes is not damage. Before the database is opened, closed or given up, a
// small file is written and synced beside it. If that fails, or if Badger fails to write while it
// opens, Open returns [ErrFailed] or [ErrDiskFull] and moves nothing. For the same reason a
// database may be left unclosed, as after a kill: Badger deletes tables that its manifest names if
// it cannot sync the manifest.
//
// A commit that the disk rejects is the last one on that database ([ErrFailed]). After some errors
// Badger continues in ways that lose later commits; after others it ends the process. The database
// is closed, which flushes its memory, and reopened, repeatedly until the disk permits. Then the
// pending records of the journal are added, and Put works again.
//
// If files are deleted or moved while in use, writes to them still succeed but are lost at the next
// start. Each commit therefore checks first that the database and the journal still have their
// names. If the state directory still exists, they are recreated with all grants of the open files.
// Otherwise nothing is acknowledged, and nothing is written under the old name, which may belong to
// another process.
//
// A panic during open is treated as damage. Some of Badger's internal checks end the process
// (log.Fatal). None of the damage in this package's tests triggers them.
//
// # Goroutines
//
//	commits    started by Open, awaited by Close: takes Puts from the queue, in groups
//	runDrain   started by commits or Close, awaited by it: writes pending records to the database
//	keep       started by Open, awaited by Close: repairs what commits found wrong
//	shut       started by keep or Close to close a database; awaited, with a limit, by both
//	reconcile  started by Open, awaited by Close: reconciles journal and database, before commits and
//	           keep begin
//	survey     started by Open or reconcile, awaited by it: reads the journal while Open opens the
//	           database
package store
