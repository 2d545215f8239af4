// Command tokend fetches, stores, refreshes and serves WeChat and WeCom credentials for every
// process on a host, over a Unix socket.
//
//	tokend serve                     run the daemon
//	tokend check                     read the configuration and report mistakes
//	tokend doctor                    check everything between the configuration and WeChat
//	tokend get NAME                  print a valid value
//	tokend exec -- COMMAND           run a command with values
//	tokend put, exchange, import     submit tickets and grants
//	tokend list, status, watch       show the state of credentials
//	tokend backup, restore, rekey    back up, restore and re-encrypt the store
//	tokend bench NAME...             measure reads
//	tokend sandbox                   run a local WeChat for development
//	tokend demo                      demonstrate tokend
//
// This package parses flags, connects the other packages and sets exit statuses. It does not know
// credentials, fetches or the form of the protocol. The client commands use package clientlib, as
// any other program would.
//
// # Exit status
//
//	0   success
//	1   failure; also UPSTREAM, REAUTH and INTERNAL; status: something needs attention
//	2   wrong usage or configuration; also BAD_REQUEST
//	3   NOT_FOUND, DENIED, or no permission to open the socket
//	4   retry later: WAITING, LIMITED, UNAVAILABLE, BUSY, SHUTDOWN, or the --timeout has passed
//	5   no daemon at the socket
//
// "exec" ends with the status of its command, once it has started it.
//
// # Output
//
// Results are written to standard output. Errors are written to standard error, each as a line that
// begins with "tokend:", followed by at most one line that begins with "hint:". "serve" logs to
// standard error through a queue (package logqueue) and never waits for the reader of the log. Only
// get, reject and refresh write a credential's value, to standard output. "exec" passes values to a
// command.
package main
