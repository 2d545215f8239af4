// Package metrics says how a daemon stands in the words of Prometheus. It knows the names, the
// labels and the text that is scraped; it knows no HTTP, and of the daemon nothing but a
// [survey.Survey], which it asks for when somebody scrapes: nothing is counted here, and between
// two scrapes nothing happens.
//
// # How many series
//
// Labels are what the configuration names (credentials, accounts, platforms) and what WeChat's and
// tokend's own tables have (kinds, states, endpoints, errcodes, verbs, codes). A customer is none
// of them, nor is a user of the host: a platform has as many series with a million customers as
// with one. A configured account has some twenty, unless accounts are not to be named: then they
// are counted.
//
// # Streaming
//
// A scrape is written as it is made, in chunks: nothing is held of its size. All lines of a metric
// stand together in the format, so there is one walk through the credentials for each metric that
// names them, and two lines of a credential may tell of different moments.
//
// # What is no label
//
// No value, no fingerprint, and no text that came from elsewhere: an errcode is a label, its errmsg
// is not.
package metrics
