package seal

import (
	"crypto/cipher"
	"fmt"
	"strings"

	"tokend/fetchers/secret"
)

// SecretSize is the length of a cluster's secret and of an encryption key in bytes.
const SecretSize = 32

// ClusterIDSize is the length of a cluster's ID in bytes.
const ClusterIDSize = 16

// Root is the one value in etcd that the encryption key seals.
type Root struct {
	// Cluster identifies the cluster. It is not secret.
	Cluster [ClusterIDSize]byte

	// Secret is what all IDs and keys are derived from: see [New].
	Secret secret.Text

	// Version is the tokend that wrote the Root.
	Version string
}

// RootFormat is the first byte of a sealed Root:
//
//	format length version cluster[16] nonce[12] AES-256-GCM{secret[32]} tag[16]
//
// The key is HKDF-SHA-256(encryption key, "tokend cluster 1 root"). The associated data is what
// precedes the nonce, and the key in etcd. Every format begins with format, length and version, so
// that an older tokend can report which version wrote the value.
const RootFormat = 1

// maxVersion is the length of the longest version in a Root.
const maxVersion = 64

// NewRoot returns the Root of a new cluster, with a random ID and secret.
func NewRoot(version string) Root {
	return Root{
		Cluster: [ClusterIDSize]byte(random(ClusterIDSize)),
		Secret:  secret.Text(random(SecretSize)),
		Version: version,
	}
}

// Seal returns what is stored under key in etcd for r.
func (r Root) Seal(encryptionKey []byte, key string) ([]byte, error) {
	if len(r.Secret) != SecretSize {
		return nil, fmt.Errorf("the cluster's secret has %d bytes, want %d", len(r.Secret), SecretSize)
	}
	if !plainVersion(r.Version) {
		return nil, fmt.Errorf("%q is no version of tokend", r.Version)
	}
	aead, err := rootGCM(encryptionKey)
	if err != nil {
		return nil, err
	}
	dst := append([]byte{RootFormat, byte(len(r.Version))}, r.Version...)
	dst = append(dst, r.Cluster[:]...)
	return aead.Seal(dst, nil, []byte(r.Secret), append(dst[:len(dst):len(dst)], key...)), nil
}

// OpenRoot is the reverse of [Root.Seal]. It returns [ErrSealed] if the encryption key is another
// one or the value was changed, or a [*FormatError].
func OpenRoot(encryptionKey []byte, key string, stored []byte) (Root, error) {
	aead, err := rootGCM(encryptionKey)
	if err != nil {
		return Root{}, err
	}
	if len(stored) == 0 {
		return Root{}, ErrSealed
	}
	version, rest, ok := cutVersion(stored[1:])
	if stored[0] != RootFormat {
		return Root{}, &FormatError{Format: stored[0], Version: version}
	}
	if !ok || len(rest) < ClusterIDSize {
		return Root{}, ErrSealed
	}
	body := rest[ClusterIDSize:]
	header := stored[:len(stored)-len(body)]
	plain, err := aead.Open(nil, nil, body, append(header[:len(header):len(header)], key...))
	if err != nil || len(plain) != SecretSize {
		return Root{}, ErrSealed
	}
	return Root{Cluster: [ClusterIDSize]byte(rest), Secret: secret.Text(plain), Version: version}, nil
}

func rootGCM(encryptionKey []byte) (cipher.AEAD, error) {
	if len(encryptionKey) != SecretSize {
		return nil, fmt.Errorf("the encryption key has %d bytes, want %d", len(encryptionKey), SecretSize)
	}
	return newGCM(encryptionKey, nil, rootLabel)
}

// cutVersion splits b after length and version. The version is displayed before it is
// authenticated, so only what a version consists of is returned.
func cutVersion(b []byte) (version string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	end := 1 + int(b[0])
	version, rest = string(b[1:end]), b[end:]
	if !plainVersion(version) {
		return "", nil, false
	}
	return version, rest, true
}

// plainVersion reports whether v is 1 to 64 of the characters of a version.
func plainVersion(v string) bool {
	odd := func(r rune) bool { return !strings.ContainsRune(versionCharacters, r) }
	return v != "" && len(v) <= maxVersion && !strings.ContainsFunc(v, odd)
}

const versionCharacters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+_-"
