package kvtest

import (
	"context"

	"tokend/daemon/cluster"
)

// Cluster is an etcd of three members under test. [Etcd] is one, except for Dial, DialLimited and
// Backup.
type Cluster interface {
	// Endpoints returns the endpoints of the members.
	Endpoints() []string

	// Dial returns a client of a member that runs or is about to. It may wait for that member. The
	// client's user has all rights.
	Dial(endpoint string) cluster.KV

	// DialLimited returns a client of the first member. The client's user has one role, which
	// permits to read and write the keys with a prefix.
	DialLimited(prefix string) cluster.KV

	// Freeze stops a member as SIGSTOP does, Stop as SIGKILL does. Both return when it has stopped.
	// Start continues or starts it, with its data. It need not wait for the member to serve.
	Freeze(endpoint string)
	Stop(endpoint string)
	Start(endpoint string)

	// Compact drops what is older than a revision.
	Compact(revision int64) error

	// StopQuorum stops all members but the first, so that there is no quorum. StartQuorum starts
	// them.
	StopQuorum()
	StartQuorum()

	// Fill makes etcd refuse what needs space. Free ends that.
	Fill()
	Free()

	// Backup backs up every acknowledged change, leases and users included. restore stops all
	// members, gives them the data of the backup, and starts them with the same endpoints.
	// Revisions continue after that of the backup. The cluster ID may change.
	Backup() (restore func())
}

// Reporter is what a check uses of a test. It is not a testing.TB, because the demonstration
// contains this package, and a program does not contain package testing.
type Reporter interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Test is a [*testing.T], or what a test makes of it: a test in virtual time runs each check in a
// bubble of its own.
type Test[T any] interface {
	Reporter
	Parallel()
	Run(name string, check func(T)) bool
}

// Conformance checks that an etcd behaves as the protocol of daemon/cluster expects. Each check has
// a new cluster.
func Conformance[T Test[T]](t T, newCluster func(T) Cluster) {
	for _, behavior := range behaviors {
		t.Run(behavior.name, func(t T) {
			t.Parallel()
			behavior.check(newCheck(t, newCluster(t)))
		})
	}
}

// behaviors are the checks of [Conformance].
var behaviors = []struct {
	name  string
	check func(*check)
}{
	{"compares", checkCompares},
	{"absent keys", checkAbsent},
	{"else branch", checkElse},
	{"revisions", checkRevisions},
	{"operations", checkOperations},
	{"size", checkSize},
	{"duplicate keys", checkDuplicateKeys},
	{"pages", checkPages},
	{"expiry", checkExpiry},
	{"keep-alive", checkKeepAlive},
	{"revocation", checkRevocation},
	{"attached keys", checkAttachedKeys},
	{"epoch", checkEpoch},
	{"watch", checkWatch},
	{"watch from the past", checkWatchPast},
	{"watch from the future", checkWatchFuture},
	{"watch of leased keys", checkWatchLeased},
	{"watch ended by its caller", checkWatchEnded},
	{"compaction", checkCompaction},
	{"compaction under a watch", checkCompactionWatched},
	{"no quorum", checkNoQuorum},
	{"watch without quorum", checkWatchNoQuorum},
	{"leases without quorum", checkLeasesNoQuorum},
	{"no space", checkNoSpace},
	{"closed client", checkClosed},
	{"other members", checkMembers},
	{"frozen member", checkFrozen},
	{"stopped member", checkStopped},
	{"late request", checkLate},
	{"restore", checkRestore},
	{"denied", checkDenied},
}
