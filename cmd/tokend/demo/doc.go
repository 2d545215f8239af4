// Package demo shows what tokend is for: it starts a WeChat in its own process and a real
// daemon in another, lets many clients loose on it over the real socket, breaks things, and
// compares what it says with what WeChat has counted. It knows the program's "serve" and a
// configuration file; it looks into the daemon no more than any client can.
//
// Nothing that it says is taken on trust: every sentence that begins with "ok" is a
// comparison that was made, and one that fails makes the demonstration fail.
package demo
