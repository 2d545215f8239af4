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
// Fetchers are built around a [Client], of which one for each host is enough;
// it is the one field that must be set. Their methods may be called concurrently.
//
// # What is an answer
//
// WeChat refuses with HTTP 200 and an errcode; whether a success carries errcode 0
// differs by endpoint. So a call was refused if there is an errcode other than 0, has
// succeeded if there is a credential with a believable expires_in, and is a
// TransportError in every other case: another HTTP status (even with an errcode,
// which then comes from something in between), a page, half a JSON, a key twice, more
// than 1 MiB, an empty credential, one with characters that belong in none, an
// expires_in that is missing, not positive, not whole, or beyond [MaxLife]. Numbers may
// come as texts.
//
// What an errcode calls for is its [Reaction], read by platform and by what the
// call was made with.
//
// # Secrets
//
// WeChat's API carries secrets and tokens in URLs and bodies. No error of this
// package contains the URL of a call, its query, its body or a secret; texts from
// outside (errmsg, and what net/http quotes of a broken answer) are cut to
// printable characters and a bounded length, and the values that were sent are
// taken out of them. Redirects are not followed.
package fetchers
