// Compare measures tokend beside Redis, on the same kind of socket under the same load, and beside
// a bare echo that is the floor under both, and prints what was reached as a table.
//
//	make bench-compare                          all of it, in about thirteen minutes
//	make bench-compare QUICK=-quick             less exactly, in about seven
//	go run ./benchmarks/compare -only socket    one part
//
// It wants Linux with two processors, redis-server, memcached and cc, and says which of them is
// missing.
// Nothing of it needs a network: WeChat is a faithful one in process (see benchmarks/fill).
//
// Servers run on one processor and the load generator on another. Everything is run in turns, each
// turn with every server, so that what the machine does meanwhile befalls all of them; a ratio is
// taken within a turn, and the median of the turns is what counts.
package main
