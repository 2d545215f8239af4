// Package inbox is where what WeChat pushes ends, on whichever way it came: verified,
// understood, and handed to the engine. It knows callbacks and events; it knows no HTTP, no
// socket, no storage and no schedule.
//
// # What is believed
//
// Of a push, only what its signature covers: the ciphertext. What the envelope says of its
// addressee is not looked at. Inside, the receiver has to be one of the owner's, and the event's
// AppId or SuiteId the owner's own; a message for somebody who shares token and key is refused.
//
// There is no time window and no memory of what has been seen: WeChat sends again what was not
// acknowledged, with or without the same nonce. Instead everything is idempotent: tickets, codes
// and revocations go to the engine with the time that the message states, and the engine keeps the
// newest.
//
// # What is done
//
//	component_verify_ticket, suite_ticket              a ticket: pushed
//	authorized, updateauthorized, create_auth,         a code: accepted, and exchanged after
//	reset_permanent_code, notify_third_fasteregister   the answer
//	unauthorized, cancel_auth                          a grant: revoked
//	anything else                                      counted and logged by its kind
//
// A push is answered with success only when what it brought is durable, or when it brought
// nothing. Once it has been found genuine it is kept even if its sender does not
// wait for the answer; the engine has [EngineTime] for it.
//
// No ticket, code, body or signature is logged or part of an error.
package inbox
