// Package access decides what a peer may do: it compiles the [[access]] rules of the configuration
// and matches users, groups, verbs and names. It knows the verbs of the protocol, and nothing else
// of it.
package access
