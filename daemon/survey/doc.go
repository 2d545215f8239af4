// Package survey is what there is to say of a daemon at one moment, without a secret in it: how
// each configured credential stands, customers by their number, and what every room has counted. It
// is data alone: it knows neither how that is gathered nor how it is shown, and nothing in it grows
// with the number of customers.
package survey
