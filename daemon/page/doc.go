// Package page renders the status page, which shows people the state of a daemon, in English and
// Chinese. The page is one HTML document without scripts, images or anything else to fetch. It
// knows HTML and texts. It does not know HTTP, and it knows the daemon only as a [survey.Survey],
// taken for each rendering.
//
// What needs attention comes first, each item with what to do about it. Every configured credential
// has a line. Customers' credentials are only counted. The page shows fingerprints, not values.
//
// The texts of both languages are in words.go. The advice about errors is in package advice.
package page
