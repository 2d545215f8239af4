// Package protocol is the language of tokend's socket: it reads and writes the
// lines that go over it, and this page is its specification, for the authors of clients in
// any language. Its code knows bytes; it knows nothing of WeChat, of storage or of a
// network, to which "upstream" is whoever issues the values.
//
// # In ten lines
//
// tokend listens on a Unix stream socket, /run/tokend/tokend.sock unless told
// otherwise. A client connects, sends one line and reads the answer:
//
//	# a value that is valid now, and the seconds it has left
//	> GET official_account/wx0123/access_token
//	< OK 7200 tok-01
//	@ +90m
//	> GET official_account/wx0123/access_token
//	< OK 1800 tok-01
//
//	# nobody has asked for this one yet: it is fetched, and the reply waits for it
//	! fetch mini_program/wx4567/access_token OK 7200 tok-02
//	> GET mini_program/wx4567/access_token
//	< OK 7200 tok-02
//
// The value is valid now and for at least the seconds that stand before it. When whoever it was
// given to says that it is not, hand it back with REJECT and take the one in
// the reply. That is all that most clients need: GET, REJECT, and what to do with an ERR.
// A shell has it in one line:
//
//	printf 'GET official_account/wx0123/access_token\n' | nc -N -U /run/tokend/tokend.sock
//
// # How to read the conversations
//
// Every verb and every error is shown by a conversation. They lie in
// testdata/conversations, where the server and all clients are tested against them; its
// README.md has the state that they begin in.
//
//	> is what the client sends          @ is time that passes
//	< is what the server answers        ! is what happens meanwhile
//	# is a comment                      {word} is a field that differs
//
// In a line of the client's, \r and \x00 are a CR and a NUL, and a ">" alone is an
// empty line.
//
// # Grammar
//
// In the notation of RFC 5234. Words in capitals within quotation marks are matched
// without regard to case in requests, and are in capitals in replies.
//
//	request    = verb *( SP field ) eol      ; at most 65536 bytes with eol
//	eol        = LF / CR LF
//	verb       = 1*8ALPHA
//	field      = name / prefix / value / url / owner / auth_code / offset
//	           / msg_signature / timestamp / nonce / encrypt
//
//	name       = segment 2*4( "/" segment )  ; at most 255 bytes
//	segment    = 1*64( ALPHA / DIGIT / "." / "_" / "@" / "-" )
//	prefix     = 1*255( ALPHA / DIGIT / "." / "_" / "@" / "-" / "/" )
//	value      = 1*32768VCHAR                ; printable ASCII without space
//	url        = 1*32768( VCHAR / UTF8-non-ascii )
//	owner      = segment "/" segment
//	auth_code  = 1*32768VCHAR
//	offset     = number                      ; at most 100000000
//
//	msg_signature = 40HEXDIG                 ; the fields of a PUSH
//	timestamp  = 1*20DIGIT
//	nonce      = 1*128VCHAR
//	encrypt    = 1*61440( ALPHA / DIGIT / "+" / "/" / "=" )
//
//	reply      = ok / error                  ; always ends in LF, never in CR LF
//	ok         = "OK" *( SP word ) LF *line  ; what follows is said under each verb
//	line       = text LF
//	error      = "ERR" SP code SP retry SP message LF
//	code       = 1*32( %x41-5A / "_" )
//	retry      = number / "-"
//	message    = text                        ; at most 512 bytes
//	ttl        = number / "-"
//	number     = "0" / %x31-39 *17DIGIT
//	word       = 1*VCHAR
//	text       = UTF-8 without control characters, at least one
//	             character, no space at either end
//
// There is one space between two fields and none at either end. An empty line, two spaces
// in a row, a missing field and a superfluous one are errors ([BadRequest]). Verbs are
// case-insensitive, names are not.
//
// # Names
//
// A credential is called family/owner[/child]/credential: three to five segments
// with a slash between two. Names of five are work/<corpid>/<agentid>/<downstream_corpid>/access_token,
// because two segments identify an app of WeCom. The segments are identifiers of accounts; what
// they mean is not this page's business, and a well-formed name need not exist. Where a verb
// takes a prefix, it is compared byte by byte with the beginning of names: "work/ww0" is a
// prefix of "work/ww0123/1000002/access_token". A prefix that is left out
// is the beginning of every name.
//
// An owner is the first two segments of names, family/owner. It has callbacks to receive
// and customers to take in: open_platform/<component_appid> or open_work/<suite_id>.
//
// # Values and seconds
//
// A value is at most 32768 bytes of printable ASCII without spaces. Upstream
// promises no length, so make room for whatever comes. A value is a secret: keep it out of
// logs, and compare it for equality only.
//
// A ttl is whole seconds, rounded down, and at least 1, since nothing is given
// out that is not valid. Where a line has a place for a ttl and there is none to
// give, it has "-" there. A client may keep a value for as long as
// the ttl says, but it need not: asking costs microseconds, and only by asking does it
// learn of a value that was replaced before its end.
//
// Times are RFC 3339 in UTC, to the second.
//
// # Grants
//
// A grant is what a customer gave once and no one can ask for again: the credential called
// refresh_token of a customer of an Open Platform, permanent_code of one of a WeCom suite.
// The server keeps it (and its earlier generations) and fetches the customer's tokens with
// it. A grant is write-only: it enters by PUT, EXCHANGE, IMPORT, PUSH or the configuration,
// and no reply carries it in clear. GET and REJECT of one are answered "DENIED - write-only" to
// everybody; LIST and WATCH show it as "fresh -", or as "held -" once the customer has taken the
// authorization back; STATUS tells where it came from, and how many of its values are kept.
//
// Who needs the value itself cannot have it from here. It moves to another host in a BACKUP, sealed
// with the server's key.
//
// # Connections
//
// The server says nothing first. Replies come in the order of the requests, so requests
// may be pipelined: a client may send several before it reads the first reply, and a
// batch is best sent in one write. A request that has to wait holds up those behind it on
// the same connection, and no other connection. A client that sends without ever
// reading is closed.
//
//	# three requests in one write; CR LF and lower case are accepted
//	> ping\r
//	> get official_account/wx0123/access_token
//	> GET work/ww0123/1000002/access_token
//	< OK PONG
//	< OK 7200 tok-01
//	< OK 600 tok-w1
//
//	# what follows a request that waits is answered after it
//	! fetch mini_program/wx4567/access_token OK 7200 tok-02
//	> GET mini_program/wx4567/access_token
//	> PING
//	< OK 7200 tok-02
//	< OK PONG
//
// A connection may be used for one request or for a million. A server that stops, is full, or is
// told to keep no idle connections, closes them between two replies; a client that finds a
// connection closed before the first byte of a reply connects again and asks again, once.
// (REFRESH, EXCHANGE and IMPORT are the exceptions: see there.) Part of a reply, or one
// that does not fit this grammar, means that the connection cannot be used any more.
//
// After a client has shut down its writing side it is still sent the replies to
// everything that it asked; then the server closes. A line without its end is not
// a request, and is dropped without a reply.
//
// The server closes a connection
//
//	after QUIT, and after an error about a line that is too long;
//	on which a line was begun 30 s ago and has not ended;
//	whose peer has read nothing for 10 s of what it is being sent, however slowly it
//	reads otherwise; or for 0.1 s, if there are many such of its user;
//	when there is no room for it, or for the long line it has begun (see Limits);
//	which is idle, to make room for a connection of another user: the longest idle one of
//	the user with the most connections (see Limits);
//	when a watch cannot keep up, may no longer see any name, or its peer sends anything;
//	when the server stops.
//
// Otherwise a connection may stay open and silent for as long as it likes, and stays usable
// after an error.
//
// # Errors
//
// An error is one line, with a code for the program, the seconds after which asking
// again may help, or "-" where it will not until someone acts, and a message for people:
//
//	ERR LIMITED 30 forced refreshes of a stable_token are 30 s apart
//
// The seconds are rounded up. A program decides by code and seconds, never by the
// message, except that the message of [Upstream] begins with errcode=<n>. No
// message holds a secret.
//
// # BAD_REQUEST
//
// The line is not a request of this grammar; the message says what is wrong. It is never
// worth repeating. After a line of more than 65536 bytes, its LF included, the connection is
// closed; after any other it stays.
//
//	>
//	< ERR BAD_REQUEST - an empty line is no request
//	> HELLO
//	< ERR BAD_REQUEST - the line does not begin with a verb
//	> GTE official_account/wx0123/access_token
//	< ERR BAD_REQUEST - unknown verb "GTE": did you mean GET?
//	> GET
//	< ERR BAD_REQUEST - a field is missing; the form is: GET <name>
//	> GET  official_account/wx0123/access_token
//	< ERR BAD_REQUEST - two spaces in a row, or one at the end; the form is: GET <name>
//	> GET official_account/wx0123/access_token tok-01
//	< ERR BAD_REQUEST - too many fields; the form is: GET <name>
//	> GET access_token
//	< ERR BAD_REQUEST - GET: a name is family/owner[/child]/credential: 3 to 5 segments, this one has 1
//	> GET official_account/wx0123/access_token\x00
//	< ERR BAD_REQUEST - GET: byte 37 cannot stand in a name; A-Z a-z 0-9 . _ @ - / can
//
//	# the connection is as good as before
//	> PING
//	< OK PONG
//
// # NOT_FOUND
//
// No account that is configured has a credential of this name; or there is one, and this
// peer may not see it. The two cannot be told apart.
//
//	> GET official_account/wx9999/access_token
//	< ERR NOT_FOUND - no such credential
//
// # DENIED
//
// The peer sees the name, but the verb is not granted to it. The peer is who the kernel
// says it is; there is no password. Two more things are DENIED to whoever asks: to read a
// grant (see Grants), and to PUSH what is not signed as it has to be.
//
// Unless the configuration has rules, whoever can open the socket may use every verb but REFRESH,
// PUT, EXCHANGE, IMPORT, BACKUP and RELOAD, which are for root and the user that the server runs
// as. No rule can grant BACKUP, which holds everything, or RELOAD, which changes the rules. With
// rules, an owner is matched as if it were a name owner/*: a rule for open_platform/wxcomponent/*
// covers it, one for some names beneath it does not.
//
//	# a peer that may read official_account/*, and may not refresh
//	! peer guest
//	> REFRESH official_account/wx0123/access_token
//	< ERR DENIED - REFRESH is not granted to this user
//	> BACKUP
//	< ERR DENIED - BACKUP is not granted to this user
//	> RELOAD
//	< ERR DENIED - RELOAD is not granted to this user
//
//	# what it may not see does not exist for it
//	> GET work/ww0123/1000002/access_token
//	< ERR NOT_FOUND - no such credential
//	> LIST
//	< OK 2
//	< official_account/wx0123/access_token fresh 7200
//	< official_account/wx0123/jsapi_ticket fresh 7200
//
// # WAITING
//
// The credential is one that is pushed and cannot be asked for, and none has arrived, or
// the last one has expired. The seconds are those to the next push, as far as that is known.
//
//	! fetch open_platform/wxcomponent/component_verify_ticket ERR WAITING 600 no component_verify_ticket has been pushed yet
//	> GET open_platform/wxcomponent/component_verify_ticket
//	< ERR WAITING 600 no component_verify_ticket has been pushed yet
//
// # UPSTREAM
//
// The credential was asked for and refused. The message begins with errcode=<n>; the number is
// the refusing side's own. While the server knows that asking again is useless it repeats this
// answer without asking, with the seconds that are left.
//
//	! fetch work/ww0123/1000002/wwdownstream/access_token ERR UPSTREAM 3600 errcode=301002 no right to this app
//	> GET work/ww0123/1000002/wwdownstream/access_token
//	< ERR UPSTREAM 3600 errcode=301002 no right to this app
//
// # UNAVAILABLE
//
// The other side could not be reached, or what it answered was no answer; or the fetch
// takes longer than the server lets a request wait. Asking again after the seconds given is
// right.
//
//	! fetch mini_program/wx4567/access_token ERR UNAVAILABLE 2 no answer within 5s
//	> GET mini_program/wx4567/access_token
//	< ERR UNAVAILABLE 2 no answer within 5s
//
// # LIMITED
//
// A quota is used up, or what was asked for would use it up. A value that is still
// valid goes on being served to GET.
//
//	! fetch official_account/wx0123/access_token ERR LIMITED 30 forced refreshes of a stable_token are 30 s apart
//	> REFRESH official_account/wx0123/access_token
//	< ERR LIMITED 30 forced refreshes of a stable_token are 30 s apart
//	> GET official_account/wx0123/access_token
//	< OK 7200 tok-01
//
// # REAUTH
//
// The grant that the credential derives from is gone or was revoked: the customer has
// to give it again. No program can mend this.
//
//	! fetch open_platform/wxcomponent/wxauthorizer/access_token ERR REAUTH - the authorization was revoked
//	> GET open_platform/wxcomponent/wxauthorizer/access_token
//	< ERR REAUTH - the authorization was revoked
//
// # BUSY
//
// The server is at one of its own limits, or the user whom the peer belongs to is (see Limits).
// When there is no room for another connection it says so in the first line, unasked,
// and closes.
//
//	! fetch mini_program/wx4567/access_token ERR BUSY 1 too many requests are waiting
//	> GET mini_program/wx4567/access_token
//	< ERR BUSY 1 too many requests are waiting
//
// # SHUTDOWN
//
// The server is stopping, and what was asked cannot be answered from memory.
// Connect again after the seconds given: its successor may be there already.
//
//	# a request that waits for a fetch when the daemon is told to stop
//	> GET mini_program/wx4567/access_token
//	! stop
//	< ERR SHUTDOWN 1 the daemon is stopping
//	! closed
//
// # INTERNAL
//
// A fault of the server's. The message names the request under which its log has the
// detail, and has none of the detail itself. Of very many in a short time the log has some;
// the message then names the last of these.
//
//	! fetch mini_program/wx4567/access_token ERR INTERNAL - what went wrong stands in the log
//	> GET mini_program/wx4567/access_token
//	< ERR INTERNAL - internal error, see the log for request {request}
//
// # PING
//
//	PING
//	OK PONG
//
// Always granted, and answered without any look at a credential: the server is there and reads.
//
//	# is anybody there?
//	> PING
//	< OK PONG
//
// # VERSION
//
//	VERSION
//	OK tokend <version> protocol 1
//
// Always granted. The version is one word; see Versions for the number at the end.
//
//	> VERSION
//	< OK tokend {version} protocol 1
//
// # GET
//
//	GET <name>
//	OK <ttl> <value>
//
// A value that is valid now. If one is held, the reply does not wait for anything; if
// not, it is fetched, once for all who ask meanwhile, and the reply waits for the fetch. A client
// that stops waiting does not stop the fetch.
//
// After a start the server answers before it has read all that it has kept, which takes seconds
// where there are many customers: with a value that is certain to be valid, from what was kept of
// it alone. Every other GET, and every other verb that tells of credentials or changes them, waits
// until all is read, and is answered then as at any time.
//
// Errors: any but BAD_REQUEST for a well-formed name.
//
//	# a value that is valid now, and the seconds it has left
//	> GET official_account/wx0123/access_token
//	< OK 7200 tok-01
//	@ +90m
//	> GET official_account/wx0123/access_token
//	< OK 1800 tok-01
//
//	# nobody has asked for this one yet: it is fetched, and the reply waits for it
//	! fetch mini_program/wx4567/access_token OK 7200 tok-02
//	> GET mini_program/wx4567/access_token
//	< OK 7200 tok-02
//
// # REJECT
//
//	REJECT <name> <value>
//	OK <ttl> <value>
//
// "This value was refused by those who issued it." If it is the current one it is replaced,
// once for all who say so, and the reply is the new one. If it is not, the reply is the
// current one, and nothing is fetched: of a hundred processes that find out at the same
// moment, one causes a call. So REJECT may safely be repeated.
//
// If the fetch brings the very value that was rejected, the reply carries that value. The
// client then knows that it is not the value that is wrong; further REJECTs of it
// cause no call for a minute.
//
// If the fetch fails the reply is the error, and the value stays served to others
// while it lives.
//
//	# "WeChat refused tok-01": it is replaced
//	! fetch official_account/wx0123/access_token OK 7200 tok-02
//	> REJECT official_account/wx0123/access_token tok-01
//	< OK 7200 tok-02
//
//	# another process says the same a little later: tok-01 is not the current value
//	# any more, and nothing is fetched
//	! fetch official_account/wx0123/access_token OK 7200 tok-03
//	> REJECT official_account/wx0123/access_token tok-01
//	< OK 7200 tok-02
//
//	# the replacement fails: an error to who asked, the value to everybody else
//	! fetch official_account/wx0123/access_token ERR UNAVAILABLE 5 no answer within 5s
//	> REJECT official_account/wx0123/access_token tok-02
//	< ERR UNAVAILABLE 5 no answer within 5s
//	> GET official_account/wx0123/access_token
//	< OK 7200 tok-02
//
// # REFRESH
//
//	REFRESH <name>
//	OK <ttl> <value>
//
// A fetch without any condition, for operators, also where the server has stopped
// asking of itself. It spends quota and is granted to few. Unlike
// every other request it must not be repeated when a connection breaks: it may have
// been carried out. While the disk refuses to be written to, a forced refresh of a stable_token is
// LIMITED: it could not be counted against its quota over a restart.
//
//	! fetch official_account/wx0123/access_token OK 7200 tok-02
//	> REFRESH official_account/wx0123/access_token
//	< OK 7200 tok-02
//
// # PUT
//
//	PUT <name> <value>
//	OK
//
// Hands in what cannot be fetched: a ticket that was pushed to somebody else, or a grant.
// The reply is sent when the value is safely on disk; before that, nothing that is made
// with it is given out. A ticket counts as of now, and replaces a ticket with a later timestamp
// from WeChat; a grant replaces the one before it, which is kept. What waits for a ticket goes
// on at once. Putting the same value again does no harm, so PUT may be repeated when a
// connection breaks.
//
// Errors: NOT_FOUND for a name that is not configured or not to be seen, BAD_REQUEST for
// that of a credential that is fetched, INTERNAL where the value could not be made durable. A
// ticket is used all the same then, and written as soon as the disk permits; it does not outlive
// the server before, so hand it in again.
//
//	# a pushed ticket that was received elsewhere; it counts as of now
//	> PUT open_platform/wxcomponent/component_verify_ticket ticket@@@01
//	< OK
//	> GET open_platform/wxcomponent/component_verify_ticket
//	< OK 43200 ticket@@@01
//
//	# a grant: kept before the reply is sent, and never given out again
//	> PUT open_platform/wxcomponent/wxauthorizer/refresh_token refreshtoken@@@01
//	< OK
//	> GET open_platform/wxcomponent/wxauthorizer/refresh_token
//	< ERR DENIED - write-only
//	> REJECT open_platform/wxcomponent/wxauthorizer/refresh_token refreshtoken@@@01
//	< ERR DENIED - write-only
//	> LIST open_platform/wxcomponent/wxauthorizer/
//	< OK 2
//	< open_platform/wxcomponent/wxauthorizer/access_token expired -
//	< open_platform/wxcomponent/wxauthorizer/refresh_token fresh -
//
//	# what is fetched cannot be put
//	> PUT official_account/wx0123/access_token tok-09
//	< ERR BAD_REQUEST - official_account/wx0123/access_token is fetched from WeChat: only pushed tickets and grants can be put
//
// # EXCHANGE
//
//	EXCHANGE <owner> <auth_code>
//	OK <family>/<owner>/<child>
//
// Exchanges an authorization code for the customer's grant, keeps that, and says whose it
// was: the names of the customer's credentials begin so. The code is the one that comes
// back to the page that a customer was sent from. The reply is sent when the grant is
// safely on disk.
//
// A code can be exchanged once, and most come twice: by the page and by a callback. The
// server remembers exchanged codes for at least an hour, over restarts too, and answers
// the same code again without another call. A client nevertheless does not repeat it when a
// connection breaks: whether the first was carried out is better looked up with LIST.
//
// While WeChat refuses all exchanges of an owner, for example because its quota is used up, the
// server makes no call. The reply is the error that caused the hold, with the seconds left. An
// EXCHANGE of a pushed code that waits for its next attempt gets the same kind of reply at once.
// So does a GET of the customer's credentials, if the callback named the customer.
//
// Errors: NOT_FOUND for an owner that is not configured or not to be seen, UPSTREAM where
// the code is refused, WAITING and the other errors of GET for the owner's own token, which
// the call needs.
//
//	# the code that the customer's browser brought back, and whose it was
//	> EXCHANGE open_platform/wxcomponent queryauthcode@@@01
//	< OK open_platform/wxcomponent/wxcustomer
//
//	# the same code again, as after a reload of the page: no second call is made
//	> EXCHANGE open_platform/wxcomponent queryauthcode@@@01
//	< OK open_platform/wxcomponent/wxcustomer
//
//	# the grant is kept and not shown
//	> GET open_platform/wxcomponent/wxcustomer/refresh_token
//	< ERR DENIED - write-only
//
//	# a code that is refused, and an owner that is not configured
//	> EXCHANGE open_platform/wxcomponent queryauthcode@@@02
//	< ERR UPSTREAM - errcode=61010 code is expired
//	> EXCHANGE open_platform/wxnobody queryauthcode@@@01
//	< ERR NOT_FOUND - no such owner
//
// # PUSH
//
//	PUSH <owner> <msg_signature> <timestamp> <nonce> <encrypt>
//	OK
//
// A callback that a web page has received, passed on unread: three of the fields are from
// its query, and encrypt is from its body. It is verified, decrypted and acted upon exactly as if
// it had come over HTTP: a ticket is kept, an authorization exchanged, a revocation carried
// out. OK means that it is safely on disk, and that the page may answer "success"; what
// follows from it comes later. It may be passed on twice. A message proves itself by its
// signature, which is why whoever can open the socket may pass one on.
//
// Errors: DENIED where the signature or the receiver is not right, BAD_REQUEST where the
// message is none, NOT_FOUND for an owner that is not configured or not to be seen, INTERNAL
// where what it says could not be made durable. After any error the page must not answer
// "success": the message is then sent again.
//
//	# a callback with a new ticket in it, passed on as it came
//	> PUSH open_platform/wxcomponent 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 946684800 1320562132 dGlja2V0IDAx
//	< OK
//	> GET open_platform/wxcomponent/component_verify_ticket
//	< OK 43200 ticket@@@01
//
//	# once more: nothing changes
//	> PUSH open_platform/wxcomponent 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 946684800 1320562132 dGlja2V0IDAx
//	< OK
//
//	# a message that is not signed so
//	> PUSH open_platform/wxcomponent ffffffffffffffffffffffffffffffffffffffff 946684800 1320562132 dGlja2V0IDAx
//	< ERR DENIED - the signature is not right
//	> PUSH open_platform/wxnobody 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 946684800 1320562132 dGlja2V0IDAx
//	< ERR NOT_FOUND - no such owner
//
//	# two fields swapped
//	> PUSH open_platform/wxcomponent 946684800 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 1320562132 dGlja2V0IDAx
//	< ERR BAD_REQUEST - PUSH: a msg_signature has 40 hexadecimal digits, this one 9 characters
//
// A page in PHP, at the address that is registered for callbacks. What it checks it has to
// check: the query is a stranger's until the server has verified it, and a newline in it
// would be a second request on this connection.
//
//	<?php
//	$owner = 'open_platform/wxcomponent';
//	$body = file_get_contents('php://input', false, null, 0, 65536);
//	preg_match('~<Encrypt>\s*(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)~', $body, $encrypt);
//	$fields = [$_GET['msg_signature'] ?? '', $_GET['timestamp'] ?? '', $_GET['nonce'] ?? '', $encrypt[1] ?? ''];
//	foreach ($fields as $field) {
//		if (!is_string($field) || !preg_match('/^[\x21-\x7e]+$/D', $field)) {
//			http_response_code(400);
//			exit;
//		}
//	}
//	$tokend = @stream_socket_client('unix:///run/tokend/tokend.sock', $errno, $why, 1);
//	if ($tokend) {
//		stream_set_timeout($tokend, 4); // WeChat waits for 5 s
//		fwrite($tokend, "PUSH $owner " . implode(' ', $fields) . "\n");
//		$reply = fgets($tokend);
//	}
//	if (($reply ?? '') !== "OK\n") {
//		error_log('callback refused: ' . trim($reply ?? '' ?: 'no reply')); // holds no secret
//		http_response_code(preg_match('/^ERR (DENIED|BAD_REQUEST|NOT_FOUND) /', $reply ?? '') ? 403 : 503);
//		exit;
//	}
//	echo 'success'; // and nothing else, not even a newline
//
// The check of an address that WeCom makes by GET, with an echostr, is no message and
// cannot be passed on: have the web server hand such requests to the daemon's own HTTP
// listener.
//
// # IMPORT
//
//	IMPORT <owner> [offset]
//	OK <total> <kept> <next>
//
// Takes in one page of the customers that a platform has already, grants and all, from the
// list that the other side keeps: so a site moves in without its old database. total is how
// many customers there are, kept how many grants of this page were new or had changed; next
// is the offset to ask for next, or "-" after the last page. The offset is 0 where it is
// left out. What the list says goes, since the list is kept by who issued the grants; the
// value before it is kept as always. A grant that changed while its page was read is not
// overwritten.
//
// The server requests an empty page before the end of the list again. If all pages together have
// fewer customers than total, the reply to the last page is UNAVAILABLE, with the number of
// missing customers. The grants on the pages are stored nevertheless.
//
// It costs calls upstream, and a second run finds nothing to keep. Like REFRESH it is not
// repeated when a connection breaks: the count would not be true.
//
// Errors: BAD_REQUEST where there is no such list for the owner, otherwise those of EXCHANGE.
//
//	# 700 customers, in pages of 500
//	> IMPORT open_platform/wxcomponent
//	< OK 700 500 500
//	> IMPORT open_platform/wxcomponent 500
//	< OK 700 200 -
//
//	# by now all of them are known
//	> IMPORT open_platform/wxcomponent 0
//	< OK 700 0 500
//
// # SIGN
//
//	SIGN <name> <url>
//	OK <timestamp> <nonce> <signature>
//
// The JS-SDK signature of a page, with a ticket (jsapi_ticket or agent_config_ticket) that
// stays inside; for any other credential it is BAD_REQUEST. A wx_card_ticket and an sdk_ticket sign
// other fields: get their values. The three fields are what the page hands on as timestamp (Unix
// seconds), nonceStr and signature. The URL is the page's own, as the browser has it; what follows
// a "#" in it is not signed. Errors are those of GET.
//
//	> SIGN official_account/wx0123/jsapi_ticket https://example.com/pay?id=7
//	< OK 946684800 {nonce} {signature}
//
//	# only a ticket signs
//	> SIGN official_account/wx0123/access_token https://example.com/pay?id=7
//	< ERR BAD_REQUEST - SIGN: only a jsapi_ticket or an agent_config_ticket signs
//
//	# an sdk_ticket signs other fields
//	> SIGN official_account/wx0123/sdk_ticket https://example.com/pay?id=7
//	< ERR BAD_REQUEST - SIGN: only a jsapi_ticket or an agent_config_ticket signs
//
// # LIST
//
//	LIST [prefix]
//	OK <n>
//	<name> <state> <ttl>        n times, in order of the names, by bytes
//
// The credentials whose names begin with the prefix, as far as the peer may see them: none, for a
// peer whom no rule names. Nothing is fetched. States:
//
//	fresh    valid
//	stale    valid, but the last refresh has failed
//	expired  no valid value
//	waiting  no valid value until one is pushed
//	held     no valid value, and not fetched until someone acts or time has passed
//	idle     never asked for
//
//	> LIST
//	< OK 7
//	< mini_program/wx4567/access_token idle -
//	< official_account/wx0123/access_token fresh 7200
//	< official_account/wx0123/jsapi_ticket fresh 7200
//	< open_platform/wxcomponent/component_verify_ticket waiting -
//	< open_platform/wxcomponent/wxauthorizer/access_token expired -
//	< work/ww0123/1000002/access_token stale 600
//	< work/ww0123/1000002/wwdownstream/access_token held -
//
//	# a prefix is the beginning of a name, not a path
//	> LIST work/ww0
//	< OK 2
//	< work/ww0123/1000002/access_token stale 600
//	< work/ww0123/1000002/wwdownstream/access_token held -
//	> LIST nobody/
//	< OK 0
//
// # STATUS
//
//	STATUS <name>
//	OK <n>
//	<key> <value>               n times; the value may hold spaces
//
// Everything about one credential except its value. Every key is always there, in this
// order, and "-" is none; new ones come at the end, and a client passes over those that it does
// not know.
//
//	name          as asked
//	kind          how it is renewed
//	state, ttl    as in LIST
//	fetched_at    when the value was asked for
//	expires_at    when it ends
//	next_refresh  when the next fetch is due
//	parent        the credential that is needed to fetch it
//	last_error    why the last refresh failed; "-" again once one does not
//	error_at      when it did
//	errcode       the number in it
//	address       this host's address, where it was refused for that
//	failures      refreshes that have failed since the last one that did not
//	hold_until    when it is asked for again; "action" where that is not before
//	              somebody acts, or a ticket is pushed
//	fingerprint   tells two values apart and shows neither
//	durable       yes; no while the disk refuses to keep the value
//	used_by       who has been given it since the server was started, and how
//	              often: www-data=120,root=3
//	source        of a grant, where it came from: config, put, exchange, event,
//	              rotation, list
//	generations   of a grant, how many of its values are kept, the one in force
//	              among them: 5 at most
//	host          the upstream host of the credential; "-" if it is not fetched
//
//	> STATUS official_account/wx0123/access_token
//	< OK 20
//	< name official_account/wx0123/access_token
//	< kind stable_token
//	< state fresh
//	< ttl 7200
//	< fetched_at 2000-01-01T00:00:00Z
//	< expires_at 2000-01-01T02:00:00Z
//	< next_refresh 2000-01-01T01:50:00Z
//	< parent -
//	< last_error -
//	< error_at -
//	< errcode -
//	< address -
//	< failures 0
//	< hold_until -
//	< fingerprint 6d7f1a02
//	< durable yes
//	< used_by -
//	< source -
//	< generations -
//	< host api.example.com
//
// # HISTORY
//
//	HISTORY <name>
//	OK <n>
//	<time> <cause> <outcome> errcode=<n> rid=<text> ms=<n>      n times, newest first
//
// The last refreshes of a credential. The cause is one of schedule, read, reject, refresh,
// parent, push and start; the outcome is ok, same (the value had not changed), or the word
// of what went wrong: an error's code in lower case. rid is what the support of the
// refusing side asks for, or "-"; ms is how long it took.
//
//	> HISTORY official_account/wx0123/access_token
//	< OK 3
//	< 2000-01-01T00:00:00Z schedule ok errcode=0 rid=- ms=85
//	< 1999-12-31T23:59:30Z schedule upstream errcode=-1 rid=5f9f8a7c-1b2c3d4e-6a7b8c9d ms=112
//	< 1999-12-31T22:10:00Z read ok errcode=0 rid=- ms=93
//
//	# nothing has happened to this one yet
//	> HISTORY mini_program/wx4567/access_token
//	< OK 0
//
// # STATS
//
//	STATS
//	OK <n>
//	<key> <value>               n times, in order of the keys
//
// Counters since the server was started, of all peers together, for whom STATS is granted on every
// name (without rules, everybody). Others are told what their own user has done, and
// nothing of calls upstream: those tell what there is. A client passes over keys that it does
// not know.
//
//	calls                calls upstream, for whatever reason
//	calls:<path>         of these, those of this path, where there were any
//	closed_idle          idle connections closed for other users' connections, where there were any
//	connections          connections, those turned away among them
//	credentials:<state>  credentials in this state now, of those that were asked for; one
//	                     line for each state but idle
//	errors:<code>        replies with this code, where there were any
//	failed:<path>        calls upstream that failed, where there were any
//	hits                 reads answered from memory
//	log_dropped          log lines dropped because the log's reader was too slow or had exited
//	pushes:<kind>        genuine pushes of this kind, by HTTP or PUSH, where there were any
//	pushes_failed        genuine pushes that could not be kept
//	pushes_previous      genuine pushes that only the previous token or key opened
//	pushes_refused       pushes that were malformed, or not signed or addressed as they have to be
//	reads                GET and SIGN
//	refreshes:failed     refreshes that brought an error
//	refreshes:ok         refreshes that brought another value
//	refreshes:same       refreshes that brought the value that was held
//	rejects              REJECT
//	slowed               pauses because a user asked too much, where there were any
//	turned_away          connections for which there was no room, where there were any
//	unaudited            lines left out of the audit, where there were any
//	undurable            values that the disk refuses to keep at this moment, where there were any
//	waits                reads that had to wait
//
//	> GET official_account/wx0123/access_token
//	< OK 7200 tok-01
//	> STATS
//	< OK 6
//	< calls:/cgi-bin/stable_token 3
//	< connections 1
//	< hits 1
//	< reads 1
//	< rejects 0
//	< waits 0
//
// # WATCH
//
//	WATCH [prefix]
//	OK <n>
//	<name> <state> <ttl>        n times, as in LIST
//	CHANGED <name> <state> <ttl>      from then on, without end
//
// First everything as it stands, then every change of a value or of a state, with none
// lost in between. The value itself is not sent: ask for it, on another
// connection. Several changes of one credential may arrive as one. The connection belongs
// to the watch: whatever else is sent on it, QUIT included, ends the watch and closes it
// without a reply. Shutting down the sending side does not.
//
// A reload may revoke a peer's right to WATCH names. The watch continues with the names under
// the prefix that the peer may still see. If there are none, the server sends a line ERR DENIED
// and closes the connection.
//
// A watcher that reads too slowly is closed by the server. Then, as after any break, it
// connects and says WATCH again: the list at the beginning is what it has missed.
//
//	> WATCH official_account/
//	< OK 2
//	< official_account/wx0123/access_token fresh 7200
//	< official_account/wx0123/jsapi_ticket fresh 7200
//
//	# a new value
//	@ +110m
//	! refresh official_account/wx0123/access_token OK 7200 tok-02
//	< CHANGED official_account/wx0123/access_token fresh 7200
//
//	# the same value, but its refresh has failed
//	@ +110m
//	! refresh official_account/wx0123/access_token ERR UNAVAILABLE 30 no answer within 5s
//	< CHANGED official_account/wx0123/access_token stale 600
//
// # BACKUP
//
//	BACKUP
//	OK <n>
//	<piece>                     n times: a part of the backup in base64
//
// All that the server keeps, as it stood at one moment; requests are answered and values renewed
// meanwhile. It is sealed with the key of the server's store, and whoever has not got that key
// learns nothing from it but how large it is. A piece is at most 46080 bytes (MaxPiece) in the
// alphabet of RFC 4648, section 4, with padding. All but the last are of a multiple of three bytes,
// so the lines, joined, are the base64 of the whole:
//
//	printf 'BACKUP\n' | nc -N -U /run/tokend/tokend.sock | tail -n +2 | base64 -d > tokend.backup
//
// A backup is whole if all n lines have come. It tells so by itself too, when it is restored.
// Several seconds may pass before the first line: the server writes the backup to its disk first.
//
// Errors: DENIED for all but root and the user that the server runs as, whatever the rules say, and
// for everybody where the store has no key to seal with; BUSY while another backup is being
// sent, or where the disk has no room for one.
//
//	# the beginning of one, and all of it that fits here
//	> BACKUP
//	< OK 1
//	< dG9rZW5kIGJhY2t1cCAxCg==
//
// # RELOAD
//
//	RELOAD
//	OK
//
// Has the server read its configuration again. The reply is sent when what is new is in force for
// every request that comes after it. What has not changed is neither fetched again nor interrupted.
// A configuration with anything wrong in it is refused as a whole, and nothing changes; the message
// has as much of what is wrong as it can hold, the server's log all of it.
//
// Errors: DENIED for all but root and the user that the server runs as, whatever the rules say,
// BAD_REQUEST for a configuration that is refused.
//
//	# the configuration has been changed, and is in force when the reply comes
//	> RELOAD
//	< OK
//
//	# it has been changed once more, and is wrong: what was in force before still is
//	> RELOAD
//	< ERR BAD_REQUEST - the old configuration stays: tokend.toml:7: [[work]] unknown key "corp"
//	> PING
//	< OK PONG
//
// # QUIT
//
//	QUIT
//	OK
//
// The server answers and closes; what was sent behind it is not looked at. It is not
// needed: closing without it loses nothing but a reply.
//
//	> QUIT
//	< OK
//	! closed
//
// # Advice to authors of clients
//
// Give a request a time limit of more than 5 s: a GET may have to wait for a fetch. Drop the
// connection when the limit passes; a late reply must not be taken for that to the
// next request.
//
// Check what you send against the grammar: a newline in a value is a second request. An
// authorization code and the fields of a callback come from a stranger's browser.
//
// On WAITING, UNAVAILABLE, LIMITED, BUSY and SHUTDOWN ask again after the seconds given, not
// before. On NOT_FOUND, DENIED, UPSTREAM, REAUTH and INTERNAL tell a person.
//
// # Limits
//
//	a line                   65536 bytes, LF included (MaxLine)
//	a name, a prefix         255 bytes (MaxName)
//	a segment of a name      64 characters (MaxSegment)
//	a value, a URL           32768 bytes (MaxValue)
//	an encrypt               61440 bytes (MaxEncrypt)
//	a piece of a backup      46080 bytes (MaxPiece)
//	a message of an error    512 bytes (MaxMessage)
//
// The server shares out what is scarce among users, by the uid that the kernel tells. All uids of
// a range in /etc/subuid count as the owner of the range. Root and the user that the server runs
// as are not bound by what follows; the numbers are those of a server that is told nothing else.
//
//	connections              8192 in all, and fewer where the process may have few
//	                         descriptors; one user may have as many as are free, so
//	                         4096 alone; the last sixteenth is for users with few
//	                         connections. When all are taken, a new connection replaces
//	                         an idle one of the user with the most connections. Idle
//	                         means no request, no part of a request and no watch. A user
//	                         with a connection replaces none of a user with hardly more.
//	                         If no connection is idle, BUSY in the first line, and closed
//	requests                 100000 a second of one user, on all its connections. Beyond,
//	                         replies come later; nothing is refused
//	processor time           a quarter of a processor for one user's lines and values over
//	                         1024 bytes, LIST, WATCH, STATUS, HISTORY and STATS. Beyond,
//	                         replies come later; nothing is refused
//	requests that wait       1024 of one user; BUSY beyond
//	watches                  256 of one user; BUSY beyond
//	LIST                     4 of one user at once; others wait for up to 30 s, then BUSY
//	lines over 4096 bytes    64 of one user under way at once; BUSY beyond, and closed
//
// # Versions
//
// This is protocol 1. Within it, verbs, codes, states, causes, outcomes, keys and lines of
// STATUS and STATS may be added, and a client has to bear them: a code that it does not
// know is treated as INTERNAL when its retry_after is "-", and as UNAVAILABLE when it is a
// number. What is described here does not change. A change that an old client could not
// bear would be protocol 2, and VERSION would say so.
package protocol
