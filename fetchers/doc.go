// Package fetchers fetches credentials from WeChat and WeCom. Each fetcher is a small struct with a
// method Fetch, which makes one call. The result is a [Token], an [*APIError] if WeChat rejected
// the call, or a [*TransportError] if WeChat was unreachable or its answer was invalid. The
// exchange of authorization codes and the list of customers work in the same way. The package also
// handles the other direction: [Callback] opens WeChat's pushes, and [ParseEvent] parses them.
//
// The package knows the API: paths, parameters, errcodes and the reaction to each of them. It does
// not know sockets, storage or the schedule. It never retries, caches or waits; the caller decides
// when to call again. A fetcher may need another credential: a ticket needs a token, and a
// customer's token needs the customer's grant. The caller passes the value in [Ask].
//
// Fetchers share a [Client]. One for each host is enough. Client is the only field that must be
// set. Their methods may be called concurrently.
//
// # Hosts and connections
//
// A [Client] may have several hosts of one API and uses one of them. It switches to another host if
// a call could not be sent, or if a repeatable call was not answered in time. If a reused
// connection fails, it closes all idle ones. It never makes a call twice. [TransportError].Repeat
// is how often the caller may repeat the call within its budgets and deadlines.
//
// # Valid answers
//
// WeChat rejects calls with HTTP 200 and an errcode. Whether a success has errcode 0 depends on the
// endpoint. An answer with an errcode other than 0 is therefore a rejection. An answer with a
// credential and a plausible expires_in is a success. Everything else is a TransportError:
//
//   - another HTTP status, even with an errcode, which then comes from an intermediary;
//   - a web page, truncated JSON, or more than 1 MiB;
//   - two different credentials under one key;
//   - a credential that is empty or has invalid characters;
//   - an expires_in that is missing, not positive, not whole, or beyond [MaxLife].
//
// Numbers may be strings.
//
// WeChat does not escape text that users typed, so an answer need not be well-formed. Values that
// are needed are parsed strictly. Everything else may be malformed, including an errmsg beside an
// errcode.
//
// The reaction to an errcode is its [Reaction]. It depends on the platform and on the values that
// the call was made with.
//
// A grant in a partly invalid answer is kept, because its code is used up. It is returned as an
// [Authorization] without a Token, or read from an answer that is truncated or has another HTTP
// status. A truncated page of customers is rejected, because missing customers count as having
// left. Malformed entries of a page are skipped.
//
// # Pushed messages
//
// A message is a query and an XML body. It is processed in three steps, and no step trusts the
// previous one:
//
//	envelope, err := fetchers.ParseEnvelope(body)
//	plain, receiver, err := callback.Open(msgSignature, timestamp, nonce, envelope.Encrypt)
//	event, err := fetchers.ParseEvent(plain)
//
// The signature is verified in constant time and before decryption. The message is still bounded
// and checked after that, because everybody who knows the signing token could have signed it. It
// must be addressed to one of the owner's receivers. The elements that its kind needs are parsed
// strictly. Everything else may be malformed, because users typed parts of it. The caller
// determines whether an event is new: WeChat's pushes arrive twice, late and out of order.
//
// # Secrets
//
// WeChat's API has secrets and tokens in URLs and bodies. No error of this package contains the URL
// of a call, its query, its body or a secret. Known errcodes have texts of this package, which can
// be shown to clients. [APIError].Errmsg is for the log. Texts from outside, such as errmsg and
// parts of a broken answer in errors of net/http, are reduced to printable characters and a bounded
// length. Values that were sent are removed from them, including parts of at least 12 bytes,
// escaped or not. Redirects are not followed.
package fetchers
