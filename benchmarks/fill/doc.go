// Fill writes what a tokend of a large platform would have on its disk after some hours: a state
// directory with many customers of one third-party platform, each with a grant, and most with a
// live access token; and a configuration to serve it by. It writes through the daemon's own store,
// so that what is measured on it is what a user would have.
//
//	go run ./benchmarks/fill -state /tmp/b/state -config /tmp/b/tokend.toml -n 100000 -size 512
//	tokend serve --config /tmp/b/tokend.toml
//
// With -serve it goes on to be the WeChat that knows the platform and its customers, so that
// refreshes succeed, until it is interrupted; then it says how many calls came, and how fast. On
// SIGUSR1 it is away, and leaves every call without an answer, until SIGUSR2: whoever still waits
// is answered then. What it writes is the same in each run, but for the times. It never writes into
// a state directory that is there already.
package main
