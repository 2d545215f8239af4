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

	// MaxValue is the longest value of a record in bytes. A sealed value of that size is below
	// threshold, so every value is inline and the value log stays empty.
	MaxValue = 60 << 10

	// MaxKey is the longest combination of table and key in bytes.
	MaxKey = 1 << 10
)

// badgerSyncs reports that Badger syncs each commit. On Linux, wal does so instead.
const badgerSyncs = runtime.GOOS != "linux"

// badgerOptions returns Badger's settings for a small store whose every write must be durable.
// Badger's defaults are for large stores that may lose their last second.
func badgerOptions(dir string, log hclog.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = badgerLogger{log}

	// The default is false. Without a sync by Badger or wal, a power cut loses acknowledged
	// commits.
	o.SyncWrites = badgerSyncs

	// Each memory table is an arena of this size in memory and a log of twice the size on disk. One
	// committer needs two.
	o.MemTableSize = memTable
	o.NumMemtables = 2

	// Small tables and few levels: a hundred thousand records take about 60 MB.
	o.BaseTableSize = 2 << 20
	o.BaseLevelSize = 8 << 20
	o.MaxLevels = 4
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = 6
	o.NumCompactors = 2 // the minimum

	// Credentials are rewritten every two hours. Dead versions are removed when a level is
	// compacted into the next. LmaxCompaction would have no effect, because it needs a third
	// compactor.
	o.CompactL0OnClose = true
	o.NumVersionsToKeep = 1

	// Inline values need no garbage collection of a value log. Badger still creates an empty value
	// log; this makes it as small as possible. The threshold must be set because the default
	// exceeds a transaction of a small memory table.
	o.ValueThreshold = threshold
	o.ValueLogFileSize = 1 << 20
	o.ValueLogMaxEntries = math.MaxUint32

	// Records are read once, at start, so caches would waste memory. Sealed values do not compress.
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0

	// checkTables checks all blocks and reports errors. Badger's iterators just stop at a bad
	// block.
	o.ChecksumVerificationMode = options.OnBlockRead

	// There is one committer, so there are no conflicts.
	o.DetectConflicts = false
	o.MetricsEnabled = false // they are global variables
	return o
}
