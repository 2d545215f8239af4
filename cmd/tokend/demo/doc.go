// Package demo demonstrates tokend: it starts a WeChat in its own process and a real daemon in
// another, and runs many clients over the real socket. It causes faults and compares the results
// with WeChat's own count. It uses only "tokend serve", a configuration file and the socket.
//
// Every line that begins with "ok" is a comparison that was made. A failed comparison fails the
// demonstration.
package demo
