// Package fetchers asks WeChat and WeCom for credentials. Each fetcher is a
// small struct with one method, Fetch, that makes one call and says what came
// of it: a [Token], an [*APIError] when WeChat refused, or a
// [*TransportError] when WeChat could not be reached or answered nonsense.
//
// The package knows the API: paths, parameters, errcodes and what each of them
// calls for. It knows no socket, no storage and no schedule: it never retries,
// never caches and never waits; whoever calls it decides when to ask again.
// A fetcher that needs another credential (a ticket needs a token) is
// handed its value in [Ask].Parent and does not know where it came from.
//
// # Secrets
//
// WeChat's API carries secrets and tokens in URLs and bodies. No error of this
// package contains a URL, a query, a body or a secret; texts from WeChat
// (errmsg) are cut to printable characters and a bounded length, and the
// values that were sent are taken out of them.
package fetchers
