// Package metrics writes a [survey.Survey] of a daemon in Prometheus' text format. It knows the
// names, labels and help texts of the metrics. It has no counters of its own, and does nothing
// between scrapes. It does not know HTTP or the rest of the daemon.
//
// # Number of series
//
// A label is a name in the configuration (credential, account, platform) or a word of a fixed set
// (kind, state, endpoint, errcode, verb, code). Customers and users of the host are not labels, so
// the number of series does not depend on the number of customers. A configured account has about
// twenty series, or none if credential_metrics is off. Totals are always written.
//
// # Streaming
//
// A scrape is written in chunks while it is made, so its memory does not depend on its size. The
// format requires all lines of a metric together. So each metric with a series per credential takes
// a walk through the credentials, and two lines of a credential may show different moments.
//
// # Foreign text
//
// Values, fingerprints and text from outside are not labels. An errcode is a label, its errmsg is
// not.
package metrics
