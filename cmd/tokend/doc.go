// Command tokend keeps the WeChat and WeCom credentials of a host: it fetches,
// stores and refreshes them, and gives them to every process that asks over a Unix
// socket.
//
//	tokend serve                     be the daemon
//	tokend check                     read the configuration and say what is wrong with it
//	tokend get NAME                  print a credential that is valid now
//	tokend put, exchange, import     hand in what WeChat and its customers give
//	tokend list, status, watch       see how everything stands
//	tokend backup, restore, rekey    keep and move what the daemon holds
//	tokend bench NAME...             measure how fast it answers
//	tokend sandbox                   a WeChat of one's own to develop against
//	tokend demo                      all of it in one command
//
// This package knows flags, wiring and exit statuses. What a credential is, how it is
// fetched and what the protocol looks like is known elsewhere; the commands that ask
// a daemon do it through package clientlib, as any other program would.
//
// # Exit status
//
//	0   done
//	1   failed; also UPSTREAM, REAUTH and INTERNAL
//	2   wrong usage or configuration; also BAD_REQUEST
//	3   NOT_FOUND, DENIED, or no permission to open the socket
//	4   try again later: WAITING, LIMITED, UNAVAILABLE, BUSY, SHUTDOWN, or the --timeout has passed
//	5   no daemon at the socket
//
// # What is written where
//
// What was asked for goes to standard output. Errors go to standard error, each as a line
// that begins with "tokend:", followed by at most one that begins with "hint:" and says what
// to do next. "serve" logs to standard error, through a queue (package logqueue), and waits for
// no reader. No value of a credential is ever written but by get, reject and refresh, to
// standard output.
package main
