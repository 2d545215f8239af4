// Load measures how long reads wait while tokend does something else: lists, watches, scrapes,
// imports, reloads, writes. Each of these scenarios compares the reads with those of the same daemon
// a moment before, when it did nothing else, and prints what was reached beside the project's bound.
//
//	make bench-load                                  all scenarios
//	go run ./benchmarks/load -only list,scrape       some of them
//	go run ./benchmarks/load -before bin/old         another tokend beside this one, in turns
//
// The daemon has one processor, the load has the other. Reads are an open loop of 20 000 GETs a
// second. What goes on besides comes from threads that give way to the reads' generator, so that a
// read that is late was late in the daemon. Each turn measures every daemon, calm and disturbed; a
// ratio is taken within a turn, and the median of the turns is what counts.
//
// Two scenarios measure REJECTs of values that are no longer current: what each costs the server,
// and how many page views of PHP programs that makes beside phpredis.
//
// A scenario is a file here and a line in the list of main.go.
package main
