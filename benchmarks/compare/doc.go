// Compare measures tokend, Redis and a bare echo on the same kind of socket under the same load,
// and prints a table. The echo is the upper limit for both.
//
//	make bench-compare                          everything, in about 13 minutes
//	make bench-compare QUICK=-quick             less exact, in about 7 minutes
//	go run ./benchmarks/compare -only socket    one part
//
// It needs Linux with two processors, redis-server, memcached and cc, and reports which of them is
// missing. It needs no network: WeChat is simulated by benchmarks/fill.
//
// Servers run on one processor and the load generator on another. Servers take turns: each turn
// runs every server once, so that other load on the machine affects all of them. A ratio is taken
// within a turn, and the table shows the median of the turns.
package main
