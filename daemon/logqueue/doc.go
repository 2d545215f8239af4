// Package logqueue puts a bounded queue between a log and its reader. A reader that stalls or
// closes its end of a pipe does not block logging. The package knows bytes and lines. It does not
// know loggers, formats or file descriptors.
//
// # Overload
//
// The queue is bounded in lines and in bytes. When the queue is full, ordinary lines are dropped
// and counted until half of the queue is free. One gap in the log is easier to read than many.
// Audit lines are dropped last: each replaces the newest ordinary line. An audit line is dropped
// only when the queue holds nothing but audit lines. Lines that the output rejects (a closed pipe,
// a full disk) are dropped and counted too. The order of lines never changes. At each gap, a line
// reports the number of missing lines as soon as the output accepts one.
//
// # The end of the process
//
// One goroutine writes. New starts it and Close waits for it. A write to a pipe cannot be canceled,
// so Close waits for a bounded time. If the reader is stalled, the goroutine ends with the process.
// It is the only goroutine of tokend that may outlive its parent.
//
// A Go program prints an uncaught panic directly to standard error and exits, so lines that are
// queued at that moment are lost. Unless the reader stalls, these are the lines of the last
// microseconds. Code that is about to exit the process writes to [Queue.Flusher] or calls Flush.
package logqueue
