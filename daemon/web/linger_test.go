package web

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that writes its whole request before it reads must get its answer. A connection that is
// closed while the client sends is reset, and the answer is lost.
func TestRefusalWhileSending(t *testing.T) {
	const size = 2 << 20
	length := "Content-Length: 2097152\r\n\r\n" + strings.Repeat("x", size)
	for _, test := range []struct {
		name, request string
		want          int
	}{
		{"too large", "POST /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length, 413},
		{"too large over HTTP/1.0", "POST /callback/" + platform + signed + " HTTP/1.0\r\n" + length, 413},
		{"too large in chunks", "POST /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", size/0x10000) + "0\r\n\r\n", 413},
		{"too large with keep-alive", "POST /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\n" + length, 413},
		{"unknown owner", "POST /callback/open_platform/nobody" + signed + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length, 404},
		{"unsupported method", "PUT /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length, 405},
		{"malformed query", "POST /callback/" + platform + "?%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			overPipe(t, func(t *testing.T, nc net.Conn) {
				var sender sync.WaitGroup
				var sendErr error
				sender.Go(func() { _, sendErr = io.WriteString(nc, test.request) })
				status, _, err := answer(bufio.NewReader(nc))
				sender.Wait()
				if err != nil || status != test.want {
					t.Errorf("status %d, %v, want %d", status, err, test.want)
				}
				if sendErr != nil {
					t.Errorf("while it sent: %v", sendErr)
				}
			})
		})
	}
}

// A rejected client is read only for a short time.
func TestLingerBounds(t *testing.T) {
	head := "POST /callback/open_platform/nobody" + signed + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for _, test := range []struct {
		name string
		send func(nc net.Conn) error
	}{
		{"sends nothing", func(nc net.Conn) error {
			_, err := io.WriteString(nc, head+"Content-Length: 2097152\r\n\r\n")
			return errors.Join(err, io.ErrClosedPipe) // it does not send, so it cannot notice
		}},
		{"sends slowly", func(nc net.Conn) error {
			_, err := io.WriteString(nc, head+"Content-Length: 2097152\r\n\r\n")
			for err == nil {
				time.Sleep(100 * time.Millisecond)
				_, err = nc.Write([]byte("x"))
			}
			return err
		}},
		{"sends endlessly", func(nc net.Conn) error {
			_, err := io.WriteString(nc, head+"Transfer-Encoding: chunked\r\n\r\n")
			chunk := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
			for n := 0; err == nil && n < 2*maxDropped; n += 1 << 20 {
				_, err = io.WriteString(nc, chunk)
			}
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			overPipe(t, func(t *testing.T, nc net.Conn) {
				var sender sync.WaitGroup
				var sendErr error
				sender.Go(func() { sendErr = test.send(nc) })
				start := time.Now()
				status, _, err := answer(bufio.NewReader(nc))
				if took := time.Since(start); err != nil || status != 404 || took != 0 {
					t.Errorf("status %d, %v after %v, want 404 at once", status, err, took)
				}
				if took := closedAfter(nc); took > 2*time.Second {
					t.Errorf("closed after %v, want 2 s at most", took)
				}
				sender.Wait()
				if !errors.Is(sendErr, io.ErrClosedPipe) {
					t.Errorf("it continued to send: %v", sendErr)
				}
			})
		})
	}
}
