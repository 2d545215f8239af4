// Package journal stores whole commits, in order, in one append-only file, for data that must
// outlive the database beside it. A commit is durable before Append returns. The package does not
// know the database, nor what the records mean or which of them matter.
//
// # File format
//
// A journal is a sequence of frames with big-endian numbers:
//
//	magic[4] length[4] file[8] number[8] commit[8] crc32c[4]   header; the sum covers the rest of it
//	payload[length] crc32c[4]
//
// file is a random number that all frames of a file share. number counts the frames from 0. commit
// is the number of the entry's commit. The payload is
//
//	0x01 records                             in clear
//	0x02 nonce[12] ciphertext tag[16]        sealed by AES-256-GCM
//
// with the header as associated data. A sealed frame therefore opens only in its own file and at
// its own position, and a missing frame leaves a gap in the numbers. Each record is
//
//	0x00 length key                          a deletion
//	0x01 length key length value
//
// with lengths as varints. Frame 0 has no records. With it, a journal without entries can detect a
// wrong key. It also contains the latest commit of the journal that this file replaced.
//
// # Reading
//
// A journal in use ends with zeros that reserve space for the next frames, so that a sync writes
// only the frame itself. Close removes the zeros; a kill leaves them, and they have no meaning. An
// incomplete frame at the end, left by a kill or a power cut, was never acknowledged: Open cuts it
// off. A damaged frame is skipped and counted, and reading continues at the next valid header.
// Complete frames that do not open are foreign. A file in which no frame opens is considered sealed
// with another key ([ErrKey]).
//
// # Compaction
//
// [Journal.Compact] writes the live records to a new file beside the old one, makes it durable and
// renames it. Append continues, and its entries are copied too; it waits only during the last copy.
// A kill at any instant leaves one complete journal under the name.
package journal
