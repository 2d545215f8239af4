//go:build !race

package refresh

// shortRound is how many runs of the model a plain test makes.
const shortRound = 60
