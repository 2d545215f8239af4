// Package inplace reports whether an open file is still the file that a path names. Writes to a
// file that was deleted or moved are lost at the next start. The package does not know the content
// or the writers of files.
//
// The check must be cheap enough for every write. Since Linux 6.13 (multigrain timestamps),
// querying the times of a file gives its next write a new time stamp. A file system without a
// journal then writes the inode at each sync, after the data. In a measurement, a sync took half as
// long again. The check therefore does not query the times.
package inplace
