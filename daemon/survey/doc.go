// Package survey defines a snapshot of a daemon, without secrets: the status of each configured
// credential, totals over customers, and the counters of every package. It contains only data. It
// does not know how the data is collected or displayed. Its size does not depend on the number of
// customers.
package survey
