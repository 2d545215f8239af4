package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"tokend/daemon/permit"
)

// Env is everything that Load reads from the operating system. All fields but
// CredentialsDirectory, CredentialFiles, Judge and Pause are required. [OSEnv] sets all but Pause.
type Env struct {
	// LookupEnv returns an environment variable and whether it is set.
	LookupEnv func(name string) (string, bool)

	// CredentialsDirectory contains systemd's credentials; empty if there are none.
	CredentialsDirectory string

	// CredentialFiles are the files that systemd passes as credentials, by name. They are read if
	// CredentialsDirectory is empty, outside of the unit.
	CredentialFiles map[string]CredentialFile

	// Open opens a file for reading. It must not wait for the writer of a pipe.
	Open func(path string) (fs.File, error)

	// Judge judges files; nil judges their modes alone.
	Judge *permit.Judge

	// Pause, if not nil, is called after every 0.1 ms of work or more often, so that other work
	// gets the processor while a large configuration is read. It may wait.
	Pause func()

	// User and Group return the id of a name.
	User  func(name string) (uint32, error)
	Group func(name string) (uint32, error)
}

// CredentialFile is a file that systemd passes as a credential.
type CredentialFile struct {
	Path string

	// Decrypt returns the content of an encrypted file; nil for a file in clear.
	Decrypt func() ([]byte, error)
}

// OSEnv returns the Env of the operating system.
func OSEnv() Env {
	return Env{
		LookupEnv:            os.LookupEnv,
		CredentialsDirectory: os.Getenv("CREDENTIALS_DIRECTORY"),
		Judge:                &permit.Judge{User: permit.Current()},
		Open: func(path string) (fs.File, error) {
			// A nil *os.File must not become an fs.File that is not nil.
			f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				return nil, err
			}
			return f, nil
		},
		User: func(name string) (uint32, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return 0, err
			}
			return id(u.Uid)
		},
		Group: func(name string) (uint32, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return 0, err
			}
			return id(g.Gid)
		},
	}
}

func id(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

const (
	// maxFile is the maximum size of a configuration file, in bytes. 30 000 accounts of the longest
	// kind, a suite with four secrets in files, take 13 MB. A larger file is a mistake or a device.
	maxFile = 16 << 20

	// maxSecret is the maximum length of a secret, in bytes. WeChat's longest secret is a refresh
	// token. WeChat documents 128 bytes, and 512 bytes have been seen.
	maxSecret = 4096

	// maxSealed is the maximum length of a file with an encrypted secret, in bytes.
	maxSealed = 4 * maxSecret
)

// tooLongError is the error for a file that exceeds the limit of this many bytes.
type tooLongError int64

func (e tooLongError) Error() string { return fmt.Sprintf("is longer than %d bytes", int64(e)) }

// read returns the content of f and closes f. If f has more than limit bytes, the error is a
// tooLongError, and read still returns the FileInfo.
func read(f fs.File, limit int64) ([]byte, fs.FileInfo, error) {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return nil, nil, errors.New("is a directory")
	}
	var b bytes.Buffer
	b.Grow(int(min(max(info.Size(), 0), limit)) + bytes.MinRead) // so that the buffer does not grow while it is read
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, nil, err
	}
	if int64(b.Len()) > limit {
		return nil, info, tooLongError(limit)
	}
	return b.Bytes(), info, nil
}
