package record

import "time"

// LastBackup is the name of the key that has the time of the last complete backup.
const LastBackup = "last_backup"

// BackupTime returns the record of a backup at that time.
func BackupTime(at time.Time) Record {
	var e encoder
	e.time(at)
	return Key{Name: LastBackup, Bytes: e}.Encode()
}

// DecodeBackupTime is the reverse of BackupTime. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeBackupTime(r Record) (time.Time, error) {
	k, err := DecodeKey(r)
	if err != nil {
		return time.Time{}, err
	}
	d := decoder{rest: k.Bytes}
	at := d.time()
	if d.err == nil && at.IsZero() {
		d.fail()
	}
	return at, d.err
}
