// Package config reads and checks tokend's TOML file: accounts, secrets, limits and rules. It opens
// no socket and no store, and calls no API. It does not know what the accounts are used for.
//
// [Load] reports all problems at once, each with its line. Only a syntax error stops it at the
// first mistake. A [Config] that Load returns is complete: defaults are set, secrets are read, and
// users and groups are resolved.
//
// # Secrets
//
// A secret is a string, or a table whose only key names the source:
//
//	secret = "..."
//	secret = { file = "/etc/tokend/wx0123.secret" }
//	secret = { env = "WX0123_SECRET" }
//	secret = { credential = "wx0123.secret" }   # systemd's LoadCredential=
//
// One line break at the end of a file or credential is not part of the secret. No error, warning
// or formatted Config contains a secret.
//
// # Lines
//
// Values come from go-toml's decoder, line numbers from a separate pass of its parser. The decoder
// reports positions of type errors only, and tokend's own checks need the line of every key.
package config
