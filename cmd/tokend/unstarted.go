package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// notStarting is the reply to all requests after a start has failed.
const notStarting = "tokend does not start: systemctl status tokend"

// unstarted holds systemd's sockets until the daemon serves them. After a failed start it answers
// the clients that wait at them. Without an answer, clients would wait until they time out. systemd
// would start the daemon for them 20 times within two seconds, then give up and close the sockets.
type unstarted struct {
	listeners []net.Listener // for the daemon, which closes them
	err       error          // why there are none

	files []*os.File // the same sockets
}

// holdSockets takes systemd's sockets, if there are any.
func holdSockets() *unstarted {
	u := &unstarted{}
	u.listeners, u.err = inherited()
	for _, ln := range u.listeners {
		if unix, ok := ln.(*net.UnixListener); ok {
			if f, err := unix.File(); err == nil {
				u.files = append(u.files, f)
			}
		}
	}
	return u
}

// started releases the sockets to the daemon.
func (u *unstarted) started() {
	if u == nil {
		return
	}
	for _, f := range u.files {
		_ = f.Close()
	}
	u.files = nil
}

// refuseFor is how long clients are answered after a failed start. The next client starts the
// daemon again, so a corrected configuration is in effect after this time. A much shorter time
// would reach systemd's limit, 20 starts within two seconds (TriggerLimitBurst=).
const refuseFor = 500 * time.Millisecond

// maxRefused is the number of clients that are answered at once.
const maxRefused = 256

// refuse answers clients for some time, or until ctx ends, if the daemon has not started. retry is
// the time after which they may ask again: "-" if an operator has to act first.
func (u *unstarted) refuse(ctx context.Context, retry string) {
	if u == nil || len(u.files) == 0 {
		return
	}
	defer u.started()
	ctx, cancel := context.WithTimeout(ctx, refuseFor)
	defer cancel()
	places := make(chan struct{}, maxRefused)
	var running sync.WaitGroup
	for _, f := range u.files {
		ln, err := net.FileListener(f)
		if err != nil {
			continue
		}
		defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
		running.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				places <- struct{}{}
				running.Go(func() {
					defer func() { <-places }()
					refuseClient(ctx, nc, retry)
				})
			}
		})
	}
	running.Wait()
}

// refuseClient answers each request on nc until ctx ends.
func refuseClient(ctx context.Context, nc net.Conn, retry string) {
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Now()) })()
	reply := fmt.Sprintf("ERR INTERNAL %s %s\n", retry, notStarting)
	r := bufio.NewReader(nc)
	if first, err := r.Peek(1); err == nil && first[0] == '*' { // RESP; one reply is enough for any client
		reply = fmt.Sprintf("-INTERNAL %s %s\r\n", retry, notStarting)
	}
	for {
		// A line longer than the buffer gets a reply for each part of it.
		line, err := r.ReadSlice('\n')
		if len(line) == 0 || err != nil && err != bufio.ErrBufferFull {
			return
		}
		if _, err := nc.Write([]byte(reply)); err != nil || strings.HasPrefix(reply, "-") {
			if half, ok := nc.(*net.UnixConn); ok {
				_ = half.CloseWrite()
			}
			_, _ = r.WriteTo(io.Discard) // unread bytes would reset the connection
			return
		}
	}
}
