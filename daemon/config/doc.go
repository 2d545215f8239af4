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
// tokend's own checks need the line of every key, so values and lines come from a pass with
// go-toml's parser, in pieces ([Env.Pause]). Its decoder reads a file again if that has a syntax
// error or unusual syntax such as dotted keys, and words the mistake.
package config
