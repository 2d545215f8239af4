// Package page renders the status pages, which show people the state of a daemon, in English and
// Chinese. A page is one HTML document with its own style and script, and loads nothing else. It
// works without the script too: then it reloads, and links and a form do what the script does
// without a reload. The package knows HTML and texts. It does not know HTTP or sockets, and it
// knows the daemon only as a [Source].
//
// There is one page for all configured credentials and one for each. The first has at most 200 of
// them at a time, whatever their number; a filter finds the others. What needs attention comes
// first, each item with what to do about it. Customers' credentials are only counted. The pages
// show fingerprints, not values.
//
// # Work
//
// All pages share one [snapshot] of the daemon, at most one a second, and less often if it takes
// more than a twentieth of that time. Nothing is made while no page is open. A page that is open
// gets the parts that have changed ([Page.Follow]).
//
// The texts of both languages are in words.go. The advice about errors is in package advice.
package page
