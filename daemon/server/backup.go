package server

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/go-hclog"

	"tokend/protocol"
)

// backup hands out all that is kept. It is for operators, whatever the rules say: what it holds
// cannot be bounded by names.
func (s *session) backup() action {
	if !s.rights.Everywhere(protocol.VerbBackup) {
		return s.deny(protocol.VerbBackup)
	}
	s.job = job{waits: true, run: s.sendBackup}
	return wait
}

func (s *session) sendBackup(ctx context.Context, flush func() error) error {
	server := s.server
	if server.cfg.Backup == nil {
		s.fail(errNoBackup)
		return nil
	}
	if !server.backups.enter(1) { // each takes its size of the disk
		s.fail(errBackups)
		return nil
	}
	defer server.backups.leave()
	from, size, err := server.cfg.Backup(ctx)
	if err != nil {
		s.done(ctx, protocol.VerbBackup, "-", err)
		if errors.Is(context.Cause(ctx), errGone) {
			return errOver
		}
		s.fail(err)
		return nil
	}
	defer from.Close()
	err = s.sendPieces(from, size, flush)
	switch {
	case errors.Is(err, errUnread):
		// The peer has been told how much there is, and sees that it is not all.
		server.log.Error("a backup could not be read back", "error", err)
		s.done(ctx, protocol.VerbBackup, "-", err)
	case err != nil:
		s.note(hclog.Warn, protocol.VerbBackup.String(), "-", "gone")
	default:
		s.done(ctx, protocol.VerbBackup, "-", nil)
	}
	return err
}

// errUnread is a backup that could not be read again.
var errUnread = errors.New("read the backup")

// sendPieces writes the count and the pieces of what from has, which is size bytes, each as soon
// as it is there. Its error is errUnread or that of the connection.
func (s *session) sendPieces(from io.Reader, size int64, flush func() error) error {
	s.out = s.codec.count(s.out, int((size+maxPiece-1)/maxPiece))
	piece := make([]byte, maxPiece)
	for left := size; left > 0; left -= int64(len(piece)) {
		piece = piece[:min(left, maxPiece)]
		if _, err := io.ReadFull(from, piece); err != nil {
			return errors.Join(errUnread, err)
		}
		s.out = s.codec.piece(s.out, piece)
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}
