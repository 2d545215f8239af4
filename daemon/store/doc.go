// Package store keeps records durable before Put returns, sealed where a key is configured, and
// told apart from a damaged or foreign store when it is opened. They are in Badger, of which it
// is the only importer; and those that WeChat gives only once are in a journal beside it
// too. It knows neither what the records mean nor that there is a WeChat, but for which tables
// are irreplaceable.
//
// # On disk
//
// The state directory is 0700 and holds
//
//	store/                  the database
//	store/HEADER            whether the records are sealed, and a check of the key
//	store/SEQUENCE          the number of the last commit
//	store/*.mem, *.sst      Badger's
//	grants.journal          the journal; its format is in package journal
//	ballast                 room to be given up on a full disk
//	*.broken-<time>         a database or a journal that could not be read
//	store.new, store.old, grants.journal.next
//	                        while the key is changed; see below
//	restore.tmp             while a backup is restored
//
// A record's key in Badger, and what is kept there, is
//
//	key    table 0x00 key
//	value  0x01 value                                 in clear
//	       0x02 nonce[12] ciphertext tag[16]          sealed by AES-256-GCM
//	       0x03 commit[8] value                       irreplaceable, in clear
//	       0x04 commit[8] nonce[12] ciphertext tag[16]
//	                                                  irreplaceable, sealed
//
// with all before the nonce and the whole key as associated data: a record moved under
// another name does not open. Keys, which are names, stay in clear. Every commit
// also writes its number under 0x00 "sequence".
//
// # The journal
//
// A Put with a grant or a code in it is written to the journal first, whole, and is durable then;
// those that have come together are one entry, which is there as a whole or not at all. The
// database follows with all that has come meanwhile, begun within a tenth of a second; where it
// takes long itself, later, so that it has a tenth of the time, but within a second. Many grants
// cost it one sync, one that is put again and again is written once, and no Put waits for it.
// Readers see what it has not yet over what it has. It is never overtaken: a Put with nothing in it
// for the journal reaches the database behind all that was before, or in one commit with it. Each
// of the two takes one sync. A kill in that time leaves what the journal alone has; the next start
// brings the database up to it. So a Put succeeds if either takes it: the journal alone while the
// database is full, failed or being opened anew, the database alone while the journal cannot be
// written anew. That is tried before the first Put that the journal has refused is acknowledged, so
// that an error that passes leaves no grant with one copy. Both carry the number of the commit, so
// at open each record is brought to the newest that either has. A grant that the database does not
// have is taken from the journal, unless the journal itself says that it was deleted. So a code
// that was deleted while the journal refused may come back after a crash; WeChat refuses it a
// second time. Records that can be had again are replayed only where the database has lost nothing:
// else a superseded token would come back. What the journal holds twice is compacted away in the
// background. Where it cannot be read then, what it lacks is taken from the database and from what
// is on its way there.
//
// To compare the two takes reading both. Where the last run has ended cleanly and the journal's
// first frame and its last ones tell of no later commit than the database's, the database has all
// that is in force, and may be read meanwhile ([Config].Ahead): whoever is killed leaves one of
// Badger's logs. Everything else is compared before Open returns.
//
// # Sealing
//
// The keys that seal records and journal are derived from the configured one, so that other
// files may be sealed with it too. Nonces are random: 2^32 commits of records with one
// key are safe, and at a hundred a second that is more than a year; at the rate of a host
// with a hundred thousand credentials, nine.
//
// A store whose key changes ([Rekey]), and one in clear that is sealed, is written
// anew beside the old one, journal included; three renames put it in the old one's place. The
// database's makes the new key the valid one, and Open finishes what was interrupted between them.
// The old bytes are gone from every file; that the disk itself still holds them in free blocks is
// beyond a program's reach. A sealed store is never opened without its key, nor put in clear. With
// a key, a store, journal or backup in clear is refused: whoever can write files could have made
// it. [Config.AcceptClear] is the one exception, and takes no store that is in clear only in part.
//
// # What is found out at open
//
// Every block of every table is checked. A flipped byte in a write-ahead log makes Badger drop,
// silently, all that follows in that log; so SEQUENCE names the last commit that was acknowledged,
// and an older one found in the database says how many are missing ([Store.Missing]). SEQUENCE is
// written after each commit, and not synced: killing the process loses nothing of it; a power cut
// may set it back, and then it raises no alarm, because Badger's own log is synced. What it cannot
// see is a gap in an older log while a younger one is whole, which takes a crash in the
// milliseconds between the filling of a log and its flush.
//
// # What a disk does
//
// Badger writes through memory maps: on a full disk it dies of SIGBUS, which no program survives.
// Free space is therefore looked at before each commit ([ErrDiskFull]), and the ballast gives the
// room that opening and closing take. The journal is written plainly, over zeros that lie ahead of
// its end, and goes on: it takes what the ballast has beyond that room, piece by piece, and is
// compacted, which gives it back.
//
// A disk that refuses is no damage: before the database is opened, closed or given up, a small file
// is written and made durable beside it. Where that fails, or Badger is refused while it opens,
// Open says so ([ErrFailed], [ErrDiskFull]) and moves nothing; and a database is left unclosed, as
// by a kill, because Badger removes tables that its manifest names when the manifest cannot be
// synced.
//
// A commit that the disk refuses is the last one on that database ([ErrFailed]): Badger keeps going
// after some errors in ways that lose what follows, and ends the process after others. It is
// closed, which flushes what it has in memory, and opened anew, again and again until the disk
// permits; then the journal's part is added, and Put is as before.
//
// Files that somebody deletes or moves away are written to as before, and gone at the next start.
// So each commit looks first whether database and journal still have their names. Where the state
// directory is still there they are made anew, with all the grants that the open files have; where
// it is not, nothing is acknowledged, and nothing is written in its place, which may be another's.
//
// A panic while opening is taken for damage. Some checks of Badger's own consistency end the
// process (log.Fatal); none is reached by the damage that the tests here do.
//
// # Goroutines
//
//	commits    started by Open, awaited by Close: takes Puts from the queue, in groups
//	bringUp    started by commits or Close, awaited by it: writes to the database what the journal has
//	keep       started by Open, awaited by Close: puts right what commits has found wrong
//	shut       started by keep or Close to close a database; awaited, with a limit, by both
//	reconcile  started by Open, awaited by Close: compares journal and database, before commits and keep begin
//	survey     started by Open or reconcile, awaited by it: reads the journal, while Open opens the database
package store
