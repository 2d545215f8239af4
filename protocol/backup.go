package protocol

import (
	"encoding/base64"
	"strings"
)

// MaxPiece is the maximum number of backup bytes in a line of BACKUP. It is a multiple of three, so
// a full line has no base64 padding and lines can be joined before they are decoded.
const MaxPiece = 45 << 10

// AppendPiece appends a line of BACKUP. The length of piece is 1 to [MaxPiece] bytes, and a
// multiple of three unless piece is the last.
func AppendPiece(dst, piece []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(dst, piece), '\n')
}

// ParsePiece reads a line of BACKUP.
func ParsePiece(line string) ([]byte, error) {
	bad := malformed("a base64 piece of a backup")
	if line == "" || len(line) > base64.StdEncoding.EncodedLen(MaxPiece) || strings.ContainsAny(line, "\r\n") {
		return nil, bad // base64 would ignore line breaks
	}
	piece, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return nil, bad // err would quote line
	}
	return piece, nil
}
