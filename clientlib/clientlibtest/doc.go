// Package clientlibtest is a fake tokend for the tests of programs that ask tokend. Its [Server]
// listens on a real Unix socket and serves the values that the test sets. It fetches nothing, knows
// no kinds of credentials, and checks no rights.
//
//	daemon := clientlibtest.NewServer()
//	defer daemon.Close()
//	daemon.Set("official_account/wx0123/access_token", "tok-01", 2*time.Hour)
//	daemon.Next("official_account/wx0123/access_token", "tok-02")
//
//	tokens := clientlib.Client{Socket: daemon.Socket}
//
// Programs in other languages find the Server by $TOKEND_SOCKET. Clients of Redis get values with
// GET, MGET and TTL by the credentials' names, and reject them with DEL.
//
// For a fake WeChat, see package tokend/fetchers/wechattest.
package clientlibtest
