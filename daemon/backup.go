package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
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

// backedUp records that a complete backup was sent. The time survives restarts.
func (d *Daemon) backedUp() {
	now := time.Now()
	d.saved.Store(now.Unix())
	ctx, cancel := context.WithTimeout(context.Background(), backupTimeLimit)
	defer cancel()
	if err := d.store.Put(ctx, record.BackupTime(now)); err != nil {
		d.log.Warn("cannot store the time of the backup", "error", err)
	}
}

// backupTimeLimit bounds the wait for the disk after a backup.
const backupTimeLimit = 10 * time.Second

// readBackupTime reads what backedUp has recorded. The time is for monitoring only, so an
// unreadable record counts as no backup.
func (d *Daemon) readBackupTime() {
	r, err := d.store.Get(record.Keys, record.LastBackup)
	if err != nil || r.Value == nil {
		return
	}
	if at, err := record.DecodeBackupTime(r); err == nil {
		d.saved.Store(at.Unix())
	} else {
		d.log.Warn("cannot read the time of the last backup", "error", err)
	}
}
