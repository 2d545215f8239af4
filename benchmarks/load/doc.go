// Load measures how long reads wait while tokend does other work: lists, watches, scrapes, imports,
// reloads, writes. Each scenario compares these reads with reads of the same idle daemon a moment
// earlier, and prints the result beside the project's bound.
//
//	make bench-load                                  all scenarios
//	go run ./benchmarks/load -only list,scrape       some of them
//	go run ./benchmarks/load -before bin/old         also another tokend, alternately
//
// The daemon has one processor, and the load has the other. Reads are an open loop of 20 000 GETs
// per second. Other requests come from threads with a lower priority than the reads' generator, so
// that a late read was late in the daemon. For root, the generator runs before all other programs.
// Each round measures every daemon, calm and disturbed. A ratio compares the medians of the rounds.
// A second ratio compares the quietest quarters of the rounds, for a machine with other users.
//
// Two scenarios measure REJECTs of values that are no longer current: the cost per REJECT for the
// server, and the page views of PHP programs compared with phpredis.
//
// A scenario is a file in this directory and an entry in the list in main.go.
package main
