// Package inbox processes WeChat's pushes, whether they arrived by HTTP or by PUSH: it verifies and
// parses them and passes their content to the engine. It knows callbacks and events. It does not
// know HTTP, sockets, storage or the schedule.
//
// # Authentication
//
// Only the ciphertext of a push is trusted, because only the ciphertext is signed. The addressee in
// the envelope is ignored. The receiver inside the ciphertext must be one of the owner's, and the
// event's AppId or SuiteId must be the owner's own. A message for another owner with the same token
// and key is rejected.
//
// There is no time window and no replay cache. WeChat resends a push that was not acknowledged,
// with the same nonce or another. Instead, everything is idempotent: tickets, codes and revocations
// go to the engine with the message's own time, and the engine keeps the newest.
//
// # Events
//
//	component_verify_ticket, suite_ticket              a ticket: stored
//	authorized, updateauthorized, create_auth,         a code: stored, and exchanged after
//	reset_permanent_code, notify_third_fasteregister   the answer
//	unauthorized, cancel_auth                          a grant: revoked
//	anything else                                      counted, and logged by kind
//
// A push is answered with success only after its content is durable, or if it has none. A genuine
// push is stored even if its sender does not wait for the answer. The engine has [EngineTime] for
// it.
//
// No ticket, code, body or signature appears in a log line or an error.
package inbox
