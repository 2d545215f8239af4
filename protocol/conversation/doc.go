// Package conversation reads and plays the conversations in testdata/conversations. A conversation
// lists the lines of client and server in order. The server and all clients are tested with the
// conversations, and the specification of the protocol shows them word for word. The package knows
// the form of a conversation. It does not know the server, the clients or the meaning of an
// exchange.
//
// # Form
//
// Each line is one step: a character for its kind, a space and a text.
//
//	# a comment
//	> a line that the client sends
//	< a line that the server answers
//	@ +90m
//	! a directive
//
// Lines end in LF, which is not part of the text. Empty lines are ignored. In a client's line, a
// backslash begins an escape as in Go (\r, \x00, \x20), for characters that an editor would remove.
// A ">" alone is an empty line.
//
// A field {like_this} in a server's line is one field that varies, such as a nonce; see [Match]. A
// scripted server may send the field as it is.
//
// "@" moves the clock forward by a Go duration. A conversation starts at 2000-01-01T00:00:00Z, as a
// testing/synctest bubble does.
//
// # Directives
//
// A directive is an event outside the conversation. Player implements only the first. The others
// are for a fake engine behind the server; a scripted server ignores them. <reply> is OK <ttl>
// <value> or ERR <code> <retry_after> <message>, as in the protocol.
//
//	! closed                    the server has closed the connection
//	! fetch <name> <reply>      from now on, fetches of name return reply; without
//	                            this directive a fetch does not end
//	! refresh <name> <reply>    the schedule fetches name now, and the fetch returns
//	                            reply
//	! peer guest                at the beginning only: the peer is an ordinary
//	                            user, see testdata/conversations/README.md;
//	                            otherwise the peer has all rights
//	! stop                      the daemon begins to stop
package conversation
