package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/store"
)

// backup makes the backup that BACKUP asks for. What goes over the socket is sealed: a store in
// clear would give away every grant, which no reply may carry.
func (d *Daemon) backup(ctx context.Context) (io.ReadCloser, int64, error) {
	if d.cfg.File.EncryptionKey == "" {
		return nil, 0, &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never,
			Message: "without an encryption_key a backup would hold every grant in clear"}
	}
	f, size, err := d.store.Snapshot(ctx)
	if errors.Is(err, store.ErrDiskFull) {
		d.log.Warn("there is no room for a backup", "error", err)
		return nil, 0, &credential.Error{Reason: credential.Busy, RetryAfter: time.Minute,
			Message: "the file system of the state directory has no room for a backup"}
	}
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}
