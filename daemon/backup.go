package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/store"
)

// backup returns a backup for the verb BACKUP. It requires encryption: a backup in clear would
// reveal every grant, and no reply may contain one.
func (d *Daemon) backup(ctx context.Context) (io.ReadCloser, int64, error) {
	if d.cfg.File.EncryptionKey == "" {
		return nil, 0, &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never,
			Message: "without an encryption_key a backup would contain every grant in clear"}
	}
	f, size, err := d.store.Snapshot(ctx)
	if errors.Is(err, store.ErrDiskFull) {
		d.log.Warn("not enough disk space for a backup", "error", err)
		return nil, 0, &credential.Error{Reason: credential.Busy, RetryAfter: time.Minute,
			Message: "the file system of the state directory has not enough space for a backup"}
	}
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}
