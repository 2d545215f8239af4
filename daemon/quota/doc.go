// Package quota counts calls against budgets and decides whether another call may be made.
//
// A [Budget] is a quota of WeChat, or tokend's own limit below it. A [Tally] is the calls of one
// payer within the last window. A [Ledger] holds all tallies. It returns decisions; the caller
// makes them durable and reports what the disk has refused, so that uncounted calls stay within a
// reserve of their own.
//
// Times are instants of a clock that suspend does not stop and that cannot be set. The package does
// not know credentials, the store or the log.
package quota
