// Fill writes the state of a tokend for a large platform after some hours: a state directory with
// many customers of one third-party platform, each with a grant, and most with a valid access
// token; and a configuration for it. It writes through the daemon's own store, so that measurements
// apply to real state directories.
//
//	go run ./benchmarks/fill -state /tmp/b/state -config /tmp/b/tokend.toml -n 100000 -size 512
//	tokend serve --config /tmp/b/tokend.toml
//
// With -serve it then runs the WeChat that knows the platform and its customers, so that refreshes
// succeed, until it is interrupted. Then it prints the number and the rate of calls. From SIGUSR1
// to SIGUSR2 it answers no call; waiting calls are answered after SIGUSR2. The output is the same
// in each run, except for the times. Fill does not overwrite a state directory.
package main
