package protocol

import (
	"encoding/base64"
	"strings"
)

// MaxPiece is how many bytes of a backup a line of BACKUP carries at most: a multiple of three, so
// that none of the 61440 characters is padding and the lines can be joined before they are decoded.
const MaxPiece = 45 << 10

// AppendPiece appends a line of BACKUP. piece has 1 to [MaxPiece] bytes, and a multiple of three
// unless it is the last one.
func AppendPiece(dst, piece []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(dst, piece), '\n')
}

// ParsePiece reads a line of BACKUP.
func ParsePiece(line string) ([]byte, error) {
	bad := malformed("a piece of a backup in base64")
	if line == "" || len(line) > base64.StdEncoding.EncodedLen(MaxPiece) || strings.ContainsAny(line, "\r\n") {
		return nil, bad // package base64 would pass over line breaks
	}
	piece, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return nil, bad // err would quote what may be no backup at all
	}
	return piece, nil
}
