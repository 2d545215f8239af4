// Package journal keeps in one append-only file what must outlive the database
// beside it: whole commits, in their order, durable before Append returns. It
// knows no database, and neither what the records mean nor which of them matter.
//
// # On disk
//
// A journal is a row of frames, numbers big endian:
//
//	magic[4] length[4] file[8] number[8] commit[8] crc32c[4]   header; the sum is of what is before it
//	payload[length] crc32c[4]
//
// file is a random number that all frames of a file share; number counts them from 0; commit
// is the number of the commit that the entry belongs to. The payload is
//
//	0x01 records                             in clear
//	0x02 nonce[12] ciphertext tag[16]        sealed by AES-256-GCM
//
// with the header as associated data: a sealed frame opens in its own file and at its own place
// only, and one that is missing in between leaves a gap in the numbers. Each record is
//
//	0x00 length key                          a deletion
//	0x01 length key length value
//
// with lengths as varints. Frame 0 has no records. It is there so that a journal without
// entries can tell a wrong key, and it carries the latest commit of the file that this one
// has replaced.
//
// # What is found out when it is read
//
// Behind the last frame a journal in use has room: zeros, over which the next frames are written,
// since a sync is then but that of their own bytes. Close cuts it off, a kill leaves it, and it
// means nothing. A frame that a kill or a power cut has left unfinished there was never
// acknowledged: Open cuts it off. A damaged frame is skipped and counted, and reading goes on at
// the next header whose sum is right. Frames that are whole but do not open are foreign. A file in
// which no frame opens at all is taken for one of another key ([ErrKey]).
//
// # Compaction
//
// [Journal.Compact] writes what is still wanted to a new file beside the old one, makes it durable,
// and renames it. Appends go on meanwhile, and what they add is copied too; they wait for the last
// of that only. A kill at any instant leaves one whole journal under the name.
package journal
