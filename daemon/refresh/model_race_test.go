//go:build race

package refresh

// shortRound is how many runs of the model a plain test makes: the race detector makes each ten
// times as long.
const shortRound = 20

// crowd is how many credentials are due at once in the tests of outages; fewer, for the same
// reason.
const crowd = 2_000
