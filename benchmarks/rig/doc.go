// Package rig is what the programs that measure a running tokend share: servers that are pinned to
// a processor, state directories of any size, the load generator as a process of its own, and the
// table of what was reached beside its bounds. It knows nothing of what is compared with what.
package rig
