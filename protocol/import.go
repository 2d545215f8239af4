package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// ImportPage is the reply to IMPORT: the result for one page of a platform's customers.
type ImportPage struct {
	Total int // customers on all pages
	Kept  int // grants of this page that were new or changed
	Next  int // offset of the next page; 0 after the last
}

// AppendImportPage appends the reply to IMPORT. Negative numbers are written as 0. A total above
// maxCount is written as maxCount.
func AppendImportPage(dst []byte, p ImportPage) []byte {
	dst = append(dst, "OK "...)
	dst = strconv.AppendInt(dst, int64(min(max(0, p.Total), maxCount)), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(max(0, p.Kept)), 10)
	if p.Next <= 0 {
		return append(dst, " -\n"...)
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(p.Next), 10)
	return append(dst, '\n')
}

// ParseImportPage reads the fields of an OK to IMPORT.
func ParseImportPage(fields string) (ImportPage, error) {
	bad := malformed("OK <total> <kept> <next>")
	f := strings.Split(fields, " ")
	if len(f) != 3 {
		return ImportPage{}, bad
	}
	var n [3]int
	for i, s := range f {
		if i == 2 && s == "-" {
			break
		}
		count, ok := parseNumber(s)
		if !ok || count > maxCount || i == 2 && count == 0 {
			return ImportPage{}, bad
		}
		n[i] = int(count)
	}
	return ImportPage{Total: n[0], Kept: n[1], Next: n[2]}, nil
}

// ParseOffset reads the offset of an IMPORT, the argument of a parsed [Request]. A missing offset
// is 0.
func ParseOffset[T text](s T) (n int, ok bool) {
	if len(s) == 0 {
		return 0, true
	}
	count, ok := parseNumber(string(s))
	return int(min(count, maxCount)), ok && count <= maxCount
}

func checkOffset[T text](s T) string {
	if _, ok := ParseOffset(s); !ok || len(s) == 0 {
		return fmt.Sprintf("an offset is a number from 0 to %d", maxCount)
	}
	return ""
}
