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

// The header stands beside the database rather than inside, because a wrong key
// must be found out before Badger, which writes as it opens, is let in. It is three
// lines of text:
//
//	tokend store 1
//	clear | sealed <hex of a sealed empty value>
//	crc32 <hex of the lines above>
//
// The sum tells a damaged header from a wrong key. A damaged one is made again from the
// sequence record, which is sealed like all others.
const (
	headerFile  = "HEADER"
	headerTitle = "tokend store 1"
)

var (
	errNoHeader  = errors.New("store: no header")
	errBadHeader = errors.New("store: damaged header")
)

// headerKey is what the check in the header is sealed under.
var headerKey = systemKey("header")

// header says how a database is kept.
type header struct {
	title  string // empty for a database's
	sealed bool
	check  []byte // sealed empty value; nil in a clear store
}

func newHeader(s sealer) header {
	if !s.seals() {
		return header{}
	}
	return header{sealed: true, check: s.seal(headerKey, nil)}
}

// admits returns nil if s is the key that the database was sealed with, or none and the
// database is in clear.
func (h header) admits(s sealer) error {
	if !h.sealed {
		if s.seals() {
			return errStoreClear
		}
		return nil
	}
	if !s.seals() {
		return faultf(ErrKey, "the store is sealed and no encryption_key is configured: configure the key it was sealed with")
	}
	if _, err := s.open(nil, headerKey, h.check); err != nil {
		return faultf(ErrKey, "the encryption_key is not the one that the store was sealed with: configure that one")
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

// summed returns text with the line that ends a header.
func summed(text string) []byte {
	return fmt.Appendf(nil, "%scrc32 %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
}

// decodeHeader is the reverse of encode for a header with a title.
func decodeHeader(b []byte, want string) (header, error) {
	text, sum, found := strings.Cut(string(b), "crc32 ")
	if !found || sum != fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(text))) {
		return header{}, errBadHeader
	}
	title, line, _ := strings.Cut(text, "\n")
	if title != want {
		// The sum is right, so this is no damage: it is another version's.
		return header{}, faultf(ErrVersion, "this was written by another version of tokend, as %.40q and not as %q", title, want)
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

// readHeader returns the header of the database in dir, errNoHeader if there is
// none, or errBadHeader.
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

// writeHeader puts h in place durably: written beside, synced, renamed.
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
