// Package conversation reads and plays the conversations that lie under
// testdata/conversations: who says what in which order, line by line. The server is
// tested against them, every client is, and the protocol's specification shows
// them word for word, so that the three cannot drift apart. It knows the
// form of a conversation; it knows neither server nor client nor what an
// exchange means.
//
// # Form
//
// One step a line. The first character says which, one space follows it:
//
//	# a comment
//	> a line that the client sends
//	< a line that the server answers
//	@ +90m
//	! a directive
//
// Lines end in LF, which is not part of the text. Empty lines mean nothing. In a
// line that the client sends, a backslash begins an escape as in Go (\r, \x00, \x20), so that
// what an editor would eat can be written; a ">" alone is an empty line.
//
// A field {like_this} in a server's line stands for one field that cannot be
// known beforehand, such as a nonce. [Match] knows it. A scripted server may
// send it as it is.
//
// "@" moves the clock forward by a duration in Go's form. A conversation begins at
// 2000-01-01T00:00:00Z, which is where a testing/synctest bubble begins.
//
// # Directives
//
// A directive says what happens outside the conversation. Player knows only
// the first; the rest are for a fake engine behind the server, and mean nothing to
// a scripted server in front of a client. <reply> is written as the protocol's own
// OK <ttl> <value> or ERR <code> <retry_after> <message>.
//
//	! closed                    the server has closed the connection
//	! fetch <name> <reply>      from now on a fetch of name ends so; a fetch of
//	                            which nothing has been said does not end
//	! refresh <name> <reply>    the schedule fetches name now, and it ends so
//	! peer guest                before anything is said: the peer is an ordinary
//	                            user, see testdata/conversations/README.md;
//	                            without it the peer may do everything
//	! stop                      the daemon begins to stop
package conversation
