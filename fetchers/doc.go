// Package fetchers asks WeChat and WeCom for credentials. Each fetcher is a
// small struct with one method, Fetch, that makes one call and says what came
// of it: a [Token], an [*APIError] when WeChat refused, or a
// [*TransportError] when WeChat could not be reached or answered nonsense. Authorization
// codes are exchanged, and customers listed, in the same way. The other direction is
// here too: [Callback] opens what WeChat pushes, and [ParseEvent] reads it.
//
// The package knows the API: paths, parameters, errcodes and what each of them
// calls for. It knows no socket, no storage and no schedule: it never retries,
// never caches and never waits; whoever calls it decides when to ask again.
// A fetcher that needs another credential (a ticket needs a token, a customer's
// token needs what the customer gave) is handed its value in [Ask] and does not know
// where it came from.
//
// Fetchers are built around a [Client], of which one for each host is enough;
// it is the one field that must be set. Their methods may be called concurrently.
//
// # Hosts and connections
//
// A [Client] may have several hosts of one API and uses one of them. It leaves that host if a call
// could not be sent to it, or if a call that returns the same value again was not answered in time.
// If a connection that was reused fails, it closes all idle ones. It never makes a call twice:
// [TransportError].Repeat says how often the caller may, which has budgets and deadlines to keep.
//
// # What is an answer
//
// WeChat refuses with HTTP 200 and an errcode; whether a success carries errcode 0
// differs by endpoint. So a call was refused if there is an errcode other than 0, has
// succeeded if there is a credential with a believable expires_in, and is a
// TransportError in every other case: another HTTP status (even with an errcode,
// which then comes from something in between), a page, half a JSON, two different credentials
// under one key, more than 1 MiB, an empty credential, one with characters that belong in none, an
// expires_in that is missing, not positive, not whole, or beyond [MaxLife]. Numbers may
// come as texts.
//
// WeChat does not escape what users typed, so an answer need not be well-formed. Values that are
// used are read strictly; everything beside them may be malformed, also an errmsg beside an
// errcode.
//
// What an errcode calls for is its [Reaction], read by platform and by what the
// call was made with.
//
// A grant that came beside something unfit is kept, because its code is spent: an
// [Authorization] without a Token, and whatever can be read of an answer that broke off, or has
// another HTTP status. A page of customers that broke off is no answer, because whoever is missing
// from it counts as having left; malformed entries of a page are skipped.
//
// # Pushed messages
//
// A message comes with a query and an XML body, and goes through three steps, of which
// each believes nothing of the one before:
//
//	envelope, err := fetchers.ParseEnvelope(body)
//	plain, receiver, err := callback.Open(msgSignature, timestamp, nonce, envelope.Encrypt)
//	event, err := fetchers.ParseEvent(plain)
//
// The signature is compared in constant time and before anything is decrypted. After it, a message
// is still bounded and checked like a stranger's, since whoever knows the signing token could have
// signed it; and it must be for a receiver of the owner's. The elements that a message's kind has
// are read strictly; everything else in it may be malformed, since users typed some of it. Whether
// an event is new is for the caller to know: WeChat pushes twice, late and out of order.
//
// # Secrets
//
// WeChat's API carries secrets and tokens in URLs and bodies. No error of this package contains the
// URL of a call, its query, its body or a secret. An errcode that is known has words of this
// package's own, for whoever asked; [APIError].Errmsg is for the log. Texts from outside (errmsg,
// and what net/http quotes of a broken answer) are cut to printable characters and a bounded
// length, and the values that were sent, parts of 12 bytes or more of them, and what these become
// when they are escaped, are taken out. Redirects are not followed.
package fetchers
