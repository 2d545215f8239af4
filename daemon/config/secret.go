package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"tokend/daemon/permit"
	"tokend/fetchers/secret"
)

// keyBytes is the length of an encryption key.
const keyBytes = 32

// secret returns a required secret from WeChat.
func (t *table) secret(key string) secret.Text { return t.secretOf(key, "") }

// secretOf is like secret, without leading and trailing characters of cutset.
func (t *table) secretOf(key, cutset string) secret.Text {
	v := t.require(key)
	if v == nil {
		return ""
	}
	raw, ok := t.secretBytes(key, v)
	if !ok {
		return ""
	}
	s := strings.Trim(withoutLineBreak(raw), cutset)
	switch {
	case s == "":
		t.problemf(key, "is empty")
		return ""
	case len(s) > maxSecret:
		t.problemf(key, "is longer than %d bytes", maxSecret)
		return ""
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }):
		t.problemf(key, "contains a space, a line break or another character that no secret has")
		return ""
	}
	return secret.Text(s)
}

// aesKey returns a required EncodingAESKey: the base64 form of 32 bytes without its "=". It ignores
// the two unused bits at the end, and blanks, which are often copied from WeChat's console.
func (t *table) aesKey(key string) secret.Text {
	s := t.secretOf(key, " \t")
	if s == "" {
		return ""
	}
	if b, err := base64.RawStdEncoding.DecodeString(string(s)); err != nil || len(b) != 32 {
		t.problemf(key, "must be the 43 characters of WeChat's EncodingAESKey; these are %d, or not of A-Z a-z 0-9", len(s))
		return ""
	}
	return s
}

// previous returns the optional token and EncodingAESKey that token and aesKey have replaced.
func (t *table) previous(token, aesKey secret.Text) (previousToken, previousKey secret.Text) {
	if t.lookup("previous_token") != nil {
		if previousToken = t.secret("previous_token"); previousToken != "" && previousToken == token {
			t.problemf("previous_token", "is the same as token")
		}
	}
	if t.lookup("previous_aes_key") != nil {
		if previousKey = t.aesKey("previous_aes_key"); previousKey != "" && sameKey(previousKey, aesKey) {
			t.problemf("previous_aes_key", "is the same as aes_key")
		}
	}
	return previousToken, previousKey
}

// sameKey reports whether two valid EncodingAESKeys are the same key. They may differ in the unused
// bits.
func sameKey(a, b secret.Text) bool {
	x, errA := base64.RawStdEncoding.DecodeString(string(a))
	y, errB := base64.RawStdEncoding.DecodeString(string(b))
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// encryptionKey returns the optional key of the store: 32 bytes, or their 64 hex digits.
func (t *table) encryptionKey(key string) secret.Text {
	v := t.lookup(key)
	if v == nil {
		return ""
	}
	raw, ok := t.secretBytes(key, v)
	if !ok {
		return ""
	}
	k, err := parseKey(raw)
	if err != nil {
		t.problemf(key, "%v", err)
	}
	return k
}

// secretBytes returns the unmodified content of v, or of the source that v refers to.
func (t *table) secretBytes(key string, v *node) ([]byte, bool) {
	switch v.kind {
	case unstable.String:
		t.inline = true
		return v.text, true
	case unstable.Table:
		ref := &table{reader: t.reader, node: v, title: t.title + key + " "}
		b, err := ref.reference()
		if err != nil {
			t.reportf(t.lineOf(key), "%s%s: %v", t.title, key, err)
		}
		return b, err == nil
	}
	t.problemf(key, `must be a string, { file = "..." }, { env = "..." } or { credential = "..." }, not %s`, typeName(v))
	return nil, false
}

// errReference is the error for a malformed reference.
var errReference = errors.New(`the table must have exactly one of file, env and credential, with a string that is not empty`)

// reference reads the secret that t refers to. The error contains no part of the secret.
func (t *table) reference() ([]byte, error) {
	if t.len() != 1 || t.first.kind != unstable.String || len(t.first.text) == 0 {
		return nil, errReference
	}
	defer t.pace.rest()
	switch where := string(t.first.text); string(t.first.key) {
	case "file":
		return t.fromFile(where)
	case "env":
		return t.fromEnv(where)
	case "credential":
		return t.fromCredential(where)
	}
	return nil, errReference
}

func (t *table) fromFile(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("file %q must be an absolute path", clip(path))
	}
	f, err := t.env.Open(path)
	if err != nil {
		return nil, t.env.unreadable(path, err) // contains the path
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("file %s is not a regular file", path)
	}
	b, info, err := read(f, maxSecret+2)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, withoutPath(err))
	}
	if why := t.env.refused(path, info); why != "" {
		return nil, errors.New(why)
	}
	if remedy := t.env.exposed(path, info); remedy != "" {
		t.warnf(t.lineOf("file"), "%s: every user of this host can read %s: %s", strings.TrimSpace(t.title), path, remedy)
	}
	return b, nil
}

func (t *table) fromEnv(name string) ([]byte, error) {
	s, ok := t.env.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("environment variable %s is not set", clip(name))
	}
	return []byte(s), nil
}

// fromCredential reads one of systemd's credentials through an os.Root, so that a name cannot lead
// out of the directory.
func (t *table) fromCredential(name string) ([]byte, error) {
	dir := t.env.CredentialsDirectory
	if file, ok := t.env.CredentialFiles[name]; dir == "" && ok {
		return t.fromUnit(file)
	}
	if dir == "" {
		return nil, fmt.Errorf("credential %q: there are none ($CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=%s:...)", clip(name), clip(name))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("credential %q: %w", clip(name), withoutPath(err))
	}
	b, _, err := read(f, maxSecret+2)
	if err != nil {
		return nil, fmt.Errorf("credential %q: %w", clip(name), withoutPath(err))
	}
	return b, nil
}

// fromUnit reads the file of a credential as systemd does, which passes its content to the daemon.
func (t *table) fromUnit(file CredentialFile) ([]byte, error) {
	f, err := t.env.Open(file.Path)
	if err != nil {
		return nil, t.env.denied(err)
	}
	limit := int64(maxSecret + 2)
	if file.Decrypt != nil {
		limit = maxSealed
	}
	b, info, err := read(f, limit)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", file.Path, withoutPath(err))
	}
	if why := permit.Writable(file.Path, info.Mode()); why != "" {
		return nil, errors.New(why)
	}
	if file.Decrypt != nil {
		return file.Decrypt()
	}
	return b, nil
}

// withoutPath removes a path that the message already contains.
func withoutPath(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// withoutLineBreak removes the line break that editors add at the end of a file.
func withoutLineBreak(b []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
}
