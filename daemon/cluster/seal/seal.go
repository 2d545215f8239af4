package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"tokend/fetchers/secret"
)

// ErrSealed is returned for a value that does not open: it was changed, moved to another key, or
// sealed with another secret.
var ErrSealed = errors.New("sealed value does not open")

// FormatError is returned for a value in a format that this version does not know.
type FormatError struct {
	Format byte

	// Version is the tokend that wrote a [Root], or empty. It is not authenticated.
	Version string
}

func (e *FormatError) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("unknown format %d", e.Format)
	}
	return fmt.Sprintf("unknown format %d of tokend %s", e.Format, e.Version)
}

const (
	keySize  = 32 // of AES-256
	saltSize = 16
	idSize   = 16 // of the 32 bytes of the HMAC
)

// formatRecord is the first byte of a sealed value:
//
//	format salt[16] nonce[12] AES-256-GCM{length name record} tag[16]
//
// The key is HKDF-SHA-256(secret, salt, "record"), the associated data is the key in etcd.
const formatRecord = 1

// Labels bind a derived key to its use. Hosts of all versions must agree on them.
const (
	recordLabel = "record"
	idLabel     = "id"
	rootLabel   = "tokend cluster 1 root"
)

// maxOpeners bounds the memory of a [Sealer]. Each run of each host has its own salt, so a cluster
// of 20 hosts that are restarted daily writes fewer in a week.
const maxOpeners = 128

// Sealer names and seals the records of one cluster. Its methods may be called concurrently. Create
// a Sealer with New.
type Sealer struct {
	secret []byte
	ids    []byte      // key of the HMAC
	salt   []byte      // random for each Sealer: no run comes near 2^32 nonces under one key
	sealer cipher.AEAD // of salt

	mu      sync.Mutex
	openers map[[saltSize]byte]cipher.AEAD // of the salts of values that have opened
}

// New returns the Sealer of a cluster's secret.
func New(s secret.Text) (*Sealer, error) {
	if len(s) != SecretSize {
		return nil, fmt.Errorf("the cluster's secret has %d bytes, want %d", len(s), SecretSize)
	}
	x := &Sealer{secret: []byte(s), salt: random(saltSize), openers: make(map[[saltSize]byte]cipher.AEAD)}
	var err error
	if x.ids, err = hkdf.Key(sha256.New, x.secret, nil, idLabel, sha256.Size); err != nil {
		return nil, err
	}
	if x.sealer, err = newGCM(x.secret, x.salt, recordLabel); err != nil {
		return nil, err
	}
	return x, nil
}

// IDSize is the length of an ID.
const IDSize = (idSize*8 + 5) / 6

// ID returns what replaces the name of a record of a table in its key. The ID is the same on all
// hosts. It has [IDSize] of the characters A-Z a-z 0-9 - _.
func (x *Sealer) ID(table, name string) string {
	mac := hmac.New(sha256.New, x.ids)
	mac.Write([]byte(table))
	mac.Write([]byte{0})
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:idSize])
}

// Seal returns what is stored under key in etcd for the record of name.
func (x *Sealer) Seal(key, name string, record []byte) []byte {
	plain := make([]byte, 0, binary.MaxVarintLen64+len(name)+len(record))
	plain = binary.AppendUvarint(plain, uint64(len(name)))
	plain = append(plain, name...)
	plain = append(plain, record...)
	dst := make([]byte, 0, 1+saltSize+len(plain)+x.sealer.Overhead())
	dst = append(dst, formatRecord)
	dst = append(dst, x.salt...)
	return x.sealer.Seal(dst, nil, plain, []byte(key))
}

// Open is the reverse of Seal. It returns [ErrSealed] or a [*FormatError].
func (x *Sealer) Open(key string, stored []byte) (name string, record []byte, err error) {
	switch {
	case len(stored) == 0:
		return "", nil, ErrSealed
	case stored[0] != formatRecord:
		return "", nil, &FormatError{Format: stored[0]}
	case len(stored) < 1+saltSize:
		return "", nil, ErrSealed
	}
	salt, body := [saltSize]byte(stored[1:]), stored[1+saltSize:]
	aead, known, err := x.opener(salt)
	if err != nil {
		return "", nil, err
	}
	plain, err := aead.Open(nil, nil, body, []byte(key))
	if err != nil {
		return "", nil, ErrSealed
	}
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) {
		return "", nil, ErrSealed // Seal does not write this
	}
	if !known {
		x.remember(salt, aead)
	}
	rest := plain[size:]
	return string(rest[:n]), rest[n:], nil
}

// opener returns the cipher of a salt, and whether x remembers it.
func (x *Sealer) opener(salt [saltSize]byte) (aead cipher.AEAD, known bool, err error) {
	x.mu.Lock()
	aead, known = x.openers[salt]
	x.mu.Unlock()
	if known {
		return aead, true, nil
	}
	aead, err = newGCM(x.secret, salt[:], recordLabel)
	return aead, false, err
}

// remember stores the cipher of a value that has opened. Damaged values never use the memory.
func (x *Sealer) remember(salt [saltSize]byte, aead cipher.AEAD) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.openers) >= maxOpeners {
		for other := range x.openers {
			delete(x.openers, other)
			break
		}
	}
	x.openers[salt] = aead
}

// newGCM returns AES-256-GCM with random nonces. Its key is derived from s for one salt and use.
func newGCM(s, salt []byte, label string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s, salt, label, keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
