// Package rig contains what the programs that measure a running tokend share: servers bound to a
// processor, state directories of any size, the load generator as a separate process, and the table
// of results with their limits. It does not know what is compared.
package rig
