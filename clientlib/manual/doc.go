// Package manual reads the code in the manual for client programs, for the tests that run it. It
// does not know how a language is run.
//
// The manual is docs/clients.md and each page that a table in docs/clients.md links to. Each block
// has a language, and each language has one runner: a test that runs all blocks that [Blocks]
// returns for that language. A page is in the manual as soon as it is in a table. No other list of
// pages or blocks exists.
package manual
