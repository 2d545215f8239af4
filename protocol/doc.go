// Package protocol reads and writes the lines of tokend's socket: it parses requests and replies,
// and appends both to byte slices. It does not know WeChat, storage or a network.
//
// docs/protocol.md specifies the protocol for authors of clients in any language. In short, a
// client connects to a Unix stream socket and sends one line for each request:
//
//	GET official_account/wx0123/access_token
//	OK 7200 tok-01
//
// A request is a verb and its fields, separated by single spaces. A reply begins with OK, or is
//
//	ERR <CODE> <seconds or -> <message>
//
// where a retry may succeed after the given seconds. Replies come in the order of the requests, so
// clients may pipeline.
//
// A connection whose first byte is * speaks RESP, the protocol of Redis, until it is closed. Its
// commands are arrays of bulk strings, and its errors are the lines above without ERR:
//
//	-<CODE> <seconds or -> <message>
//
// A connection that is refused for lack of room gets ERR BUSY as a line before its first byte is
// read, whatever it speaks. A Redis client reports that as a protocol error.
//
// # Sides
//
// A server cuts lines with [CutLine], parses them with [Request.Parse], and appends replies. A
// client appends requests with [AppendRequest], and parses replies with [ParseReply] and the parser
// of each verb's fields. A server cuts commands of RESP with [CutCommand], and checks their fields
// with [Request.Fill].
//
// # Conversations
//
// Package tokend/protocol/conversation plays the conversations in testdata/conversations. The
// specification shows each of them, and the server and the clients are tested with them.
package protocol
