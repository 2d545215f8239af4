//go:build race

package refresh

// shortRound is how many runs of the model a plain test makes: the race detector makes each ten
// times as long.
const shortRound = 20
