// Package permit judges files by their owners and modes: whether a user can read them, and whether
// other users can change or replace them. Each finding names the command that fixes it. It opens no
// file, and ignores access control lists and privileges. It does not know what the files are for.
package permit
