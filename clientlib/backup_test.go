package clientlib

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"tokend/protocol"
)

// backupReply is a reply to BACKUP with the bytes b.
func backupReply(b []byte) string {
	out := protocol.AppendCount(nil, (len(b)+protocol.MaxPiece-1)/protocol.MaxPiece)
	for len(b) > 0 {
		n := min(len(b), protocol.MaxPiece)
		out, b = protocol.AppendPiece(out, b[:n]), b[n:]
	}
	return string(out)
}

func TestBackup(t *testing.T) {
	want := bytes.Repeat([]byte("t\x00\xff\n7"), protocol.MaxPiece)
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		d := &fakeDaemon{serve: always(backupReply(want))}
		c := connect(d)
		for range 2 { // the connection can be reused
			var got bytes.Buffer
			if err := c.Backup(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Fatalf("%d bytes of %d, %v", got.Len(), len(want), err)
			}
		}
		if n := d.conns.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestBackupCutOff holds that an incomplete backup is an error, at whatever byte it ends.
func TestBackupCutOff(t *testing.T) {
	whole := backupReply(make([]byte, 2*protocol.MaxPiece+7))
	for _, n := range []int{1, 5, 6, 100, len(whole) / 2, len(whole) - 2, len(whole) - 1} {
		d := &fakeDaemon{serve: replies(whole[:n])} // then it closes
		c := &Client{DialContext: d.dialPipe}
		if err := c.Backup(t.Context(), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off at %d of %d: error is %v", n, len(whole), err)
		}
		d.wg.Wait()
	}
	d := &fakeDaemon{serve: replies("OK 1\n-- not base64 --\n")}
	c := &Client{DialContext: d.dialPipe}
	if err := c.Backup(t.Context(), io.Discard); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "--") {
		t.Errorf("nonsense: error is %v", err)
	}
	d.wg.Wait()
}

type full struct{ after int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestBackupWriteFails holds that a failed write is returned, and that the connection is closed.
func TestBackupWriteFails(t *testing.T) {
	reply := backupReply(make([]byte, 3*protocol.MaxPiece))
	d := &fakeDaemon{serve: func(nc net.Conn) {
		_, _ = nc.Read(make([]byte, 512))
		_, _ = io.WriteString(nc, reply)
	}}
	c := &Client{DialContext: d.dialPipe}
	if err := c.Backup(t.Context(), &full{after: 1}); !errors.Is(err, errFull) {
		t.Errorf("error is %v", err)
	}
	d.wg.Wait()
	if len(c.idle) != 0 {
		t.Error("the connection is in the pool")
	}
}
