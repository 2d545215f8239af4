package store

import (
	"math"
	"runtime"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/hashicorp/go-hclog"
)

const (
	memTable  = 2 << 20
	threshold = 64 << 10

	// MaxValue is the longest value of a record in bytes. Below threshold even when
	// sealed, so that every value lies inline and the value log stays empty.
	MaxValue = 60 << 10

	// MaxKey is the longest table and key together in bytes.
	MaxKey = 1 << 10
)

// badgerSyncs: Badger syncs at each commit, and not wal, which relies on what Linux does.
const badgerSyncs = runtime.GOOS != "linux"

// badgerOptions are Badger's settings for a small store whose every write must last.
// Its defaults are for large ones whose last second may be lost.
func badgerOptions(dir string, log hclog.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = badgerLogger{log}

	// Off by default: without it, or wal, a power cut takes what was acknowledged.
	o.SyncWrites = badgerSyncs

	// Each memory table is an arena of its size, and a log of twice that
	// on disk. Two suffice for one committer.
	o.MemTableSize = memTable
	o.NumMemtables = 2

	// Small tables and few levels: a hundred thousand records are some 60 MB.
	o.BaseTableSize = 2 << 20
	o.BaseLevelSize = 8 << 20
	o.MaxLevels = 4
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = 6
	o.NumCompactors = 2 // the fewest it accepts

	// Credentials are rewritten every two hours: what is dead goes as each level is compacted into
	// the next. LmaxCompaction would do nothing here: only a third compactor does it.
	o.CompactL0OnClose = true
	o.NumVersionsToKeep = 1

	// Values inline need no collection of a value log. Badger keeps an empty log
	// all the same: as small as it can be. The threshold must be set because the default one
	// exceeds what a small memory table's transaction holds.
	o.ValueThreshold = threshold
	o.ValueLogFileSize = 1 << 20
	o.ValueLogMaxEntries = math.MaxUint32

	// Records are read once, at start: caches would be memory for nothing, and
	// what is sealed does not compress.
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0

	// Blocks are checked by checkTables, all of them and with a result; Badger's
	// iterators just end at a bad one.
	o.ChecksumVerificationMode = options.OnBlockRead

	// One committer: there is nothing to conflict with.
	o.DetectConflicts = false
	o.MetricsEnabled = false // they are global variables
	return o
}
