package server

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/go-hclog"

	"tokend/protocol"
)

// backup answers with a backup of the whole store. Rules cannot grant it: rules are about names.
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
	if !server.backups.enter(1) { // each takes as much of the disk as the store
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
		// The peer has received the number of pieces, and sees that some are missing.
		server.log.Error("cannot read a backup", "error", err)
		s.done(ctx, protocol.VerbBackup, "-", err)
	case err != nil:
		s.note(hclog.Warn, protocol.VerbBackup.String(), "-", "gone")
	default:
		s.done(ctx, protocol.VerbBackup, "-", nil)
		if server.cfg.Sent != nil {
			server.cfg.Sent()
		}
	}
	return err
}

// errUnread says that a backup could not be read.
var errUnread = errors.New("read the backup")

// sendPieces writes the number of pieces and the pieces of from, which has size bytes. Its error is
// errUnread, or that of the connection.
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
