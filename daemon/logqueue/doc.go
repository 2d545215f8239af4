// Package logqueue puts a bounded queue between a log and its reader. A reader that stalls, or
// closes its end of a pipe, holds up nobody who logs. It knows bytes and lines; it knows no logger,
// no format and no file descriptor.
//
// # Overload
//
// The queue is bounded in lines and in bytes. When it is full, the line that arrives is dropped and
// counted, and so are all ordinary lines after it until half of the queue is free: one gap in the
// log is easier to read than many. Audit lines are dropped last: each takes the place of the newest
// ordinary line, and is dropped only when the queue holds nothing but audit lines. Lines that the
// output refuses (a closed pipe, a full disk) are dropped and counted too. The order of lines never
// changes. Where lines are missing, a line says how many, as soon as the output accepts one.
//
// # The end of the process
//
// One goroutine writes; New starts it and Close waits for it. A write to a pipe cannot be canceled,
// so Close waits for a bounded time. If the reader is stalled, the goroutine ends with the process:
// this is the one goroutine of tokend that nobody waits for to the end.
//
// A Go program prints an uncaught panic directly to standard error and ends, so lines that are
// queued at that moment are lost. With a reader that reads, these are the lines of the last
// microseconds. Code that is about to end the process writes to [Queue.Flusher] or calls Flush.
package logqueue
