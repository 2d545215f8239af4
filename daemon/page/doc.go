// Package page is the status page: how a daemon stands, for a person, in English and in Chinese, in
// one piece of HTML without a script, a picture or anything else that would have to be fetched. It
// knows HTML and words; it knows no HTTP, and of the daemon nothing but a [survey.Survey], which it
// asks for when somebody looks.
//
// What needs attention comes first, each with what to do about it. Every configured credential has
// a line, a customer none: those are counted. In place of a value there is its fingerprint.
//
// The texts of both languages are in words.go, what to do about an error in advice.go.
package page
