package store

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The header is a file beside Badger's files, because a wrong key must be detected before Badger is
// opened: Badger writes when it opens. The header is three lines of text:
//
//	tokend store 1
//	clear | sealed <hex of a sealed empty value>
//	crc32 <hex of the lines above>
//
// The checksum distinguishes a damaged header from a wrong key. A damaged header is recreated from
// the sequence record, which is sealed like all others.
const (
	headerFile  = "HEADER"
	headerTitle = "tokend store 1"
)

var (
	errNoHeader  = errors.New("store: no header")
	errBadHeader = errors.New("store: damaged header")
)

// headerKey is the key that the check in the header is sealed under.
var headerKey = systemKey("header")

// header describes how a database is stored.
type header struct {
	title  string // empty for a database
	sealed bool
	check  []byte // sealed empty value; nil in a clear store
}

func newHeader(s sealer) header {
	if !s.seals() {
		return header{}
	}
	return header{sealed: true, check: s.seal(headerKey, nil)}
}

// admits returns nil if s is the sealer of the database: the right key, or none if it is in clear.
func (h header) admits(s sealer) error {
	if !h.sealed {
		if s.seals() {
			return errStoreClear
		}
		return nil
	}
	if !s.seals() {
		return faultf(ErrKey, "the store is sealed and no encryption_key is configured: configure the key that it was sealed with")
	}
	if _, err := s.open(nil, headerKey, h.check); err != nil {
		return faultf(ErrKey, "the encryption_key is not the key that the store was sealed with: configure the right key")
	}
	return nil
}

func (h header) encode() []byte {
	line := "clear"
	if h.sealed {
		line = "sealed " + hex.EncodeToString(h.check)
	}
	return summed(cmp.Or(h.title, headerTitle) + "\n" + line + "\n")
}

// summed returns text followed by its checksum line.
func summed(text string) []byte {
	return fmt.Appendf(nil, "%scrc32 %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
}

// decodeHeader is the reverse of encode for a header with the title want.
func decodeHeader(b []byte, want string) (header, error) {
	text, sum, found := strings.Cut(string(b), "crc32 ")
	if !found || sum != fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(text))) {
		return header{}, errBadHeader
	}
	title, line, _ := strings.Cut(text, "\n")
	if title != want {
		// The checksum is right, so the header is from another version.
		return header{}, faultf(ErrVersion, "written by another version of tokend: the format is %.40q, want %q", title, want)
	}
	if line == "clear\n" {
		return header{title: want}, nil
	}
	digits, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "sealed ")
	check, err := hex.DecodeString(digits)
	if !found || err != nil {
		return header{}, errBadHeader
	}
	return header{title: want, sealed: true, check: check}, nil
}

// readHeader returns the header of the database in dir. The error is errNoHeader if there is none,
// or errBadHeader.
func readHeader(dir string) (header, error) {
	b, err := os.ReadFile(filepath.Join(dir, headerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return header{}, errNoHeader
	}
	if err != nil {
		return header{}, err
	}
	return decodeHeader(b, headerTitle)
}

// writeHeader replaces the header durably: it writes a new file, syncs it and renames it.
func writeHeader(dir string, h header) error {
	tmp := filepath.Join(dir, headerFile+".tmp")
	if err := writeSynced(tmp, h.encode()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, headerFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
