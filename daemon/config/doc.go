// Package config reads tokend's TOML file: every account, secret and rule, checked, with
// its line for whatever is wrong. It opens no socket and no store and asks WeChat
// nothing; it does not know what the accounts are used for.
//
// [Load] reports all problems at once, because who mends a file does not want
// to be told of them one by one; only TOML that does not parse stops at its
// first mistake. A [Config] that Load returns is complete: defaults filled in, secrets
// read from where they lie, users and groups resolved, nothing left to go wrong later.
//
// # Secrets
//
// A secret is a string, or a table with one key that says where it lies:
//
//	secret = "..."
//	secret = { file = "/etc/tokend/wx0123.secret" }
//	secret = { env = "WX0123_SECRET" }
//	secret = { credential = "wx0123.secret" }   # of systemd's LoadCredential=
//
// One line break at the end of a file or credential is not part of it. No error,
// warning or formatted Config shows one.
//
// # Lines
//
// The values come from go-toml's decoder; the lines from its parser, which is walked
// once beside it. go-toml alone gives positions for type errors, but not for what only tokend
// can know to be wrong.
package config
