// Package inplace tells whether a file that is open is still the one that a path names: what is
// written to a file that was deleted, or moved away, no restart will find. It knows neither what is
// in files nor who writes to them.
//
// It may be asked before every write. Linux gives the next write to a file whose times somebody has
// asked for a time of its own (multigrain timestamps, since 6.13), and a file system without a
// journal then writes the inode at each sync, after the data: one that takes half as long again was
// measured. So the times are not asked for.
package inplace
