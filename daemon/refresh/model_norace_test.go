//go:build !race

package refresh

// shortRound is how many runs of the model a plain test makes.
const shortRound = 60

// crowd is how many credentials are due at once in the tests of outages.
const crowd = 10_000
