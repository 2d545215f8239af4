// Package chromium drives a headless Chromium for tests, over the pipe of the DevTools protocol. It
// knows browsers and does not know what the pages show. It needs nothing but the browser, Debian's
// package chromium.
package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// timeout bounds one command. A busy machine may need seconds to start the browser.
const timeout = 60 * time.Second

// Browser is a running browser.
type Browser struct {
	t    testing.TB
	out  io.WriteCloser
	next int // the number of the last command

	mu      sync.Mutex
	waiting map[int]chan message // by number
	tabs    map[string]*Tab      // by session
}

// message is a message of the protocol.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts a browser, which ends with the test. It skips the test if there is no Chromium.
func Start(t testing.TB) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	in, out := pipe(t), pipe(t)
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--hide-scrollbars", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
		"--force-device-scale-factor=1", "--lang=en", "--user-data-dir="+dir, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir, "TZ=UTC")
	cmd.ExtraFiles = []*os.File{in[0], out[1]} // descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in[0].Close()
	_ = out[1].Close()
	b := &Browser{t: t, out: in[1], waiting: map[int]chan message{}, tabs: map[string]*Tab{}}
	var reader sync.WaitGroup
	reader.Go(func() { b.read(out[0]) })
	t.Cleanup(func() {
		_ = in[1].Close() // the browser ends with the pipe
		ended := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		reader.Wait()
		_ = out[0].Close()
		_ = os.RemoveAll(dir)
	})
	return b
}

func pipe(t testing.TB) [2]*os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return [2]*os.File{r, w}
}

// read delivers the browser's messages until the pipe ends.
func (b *Browser) read(r io.Reader) {
	for lines := bufio.NewReader(r); ; {
		text, err := lines.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			for _, wait := range b.waiting {
				close(wait)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		wait, tab := b.waiting[m.ID], b.tabs[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && wait != nil:
			wait <- m
		case m.ID == 0 && tab != nil:
			tab.event(m)
		}
	}
}

// call sends a command and decodes its result into result, which may be nil.
func (b *Browser) call(session, method string, params, result any) error {
	data, err := json.Marshal(params)
	if err != nil {
		return err
	}
	wait := make(chan message, 1)
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return errors.New("the browser has ended")
	}
	b.next++
	b.waiting[b.next] = wait
	text, err := json.Marshal(message{ID: b.next, Session: session, Method: method, Params: data})
	if err == nil {
		_, err = b.out.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m, ok := <-wait:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser has ended", method)
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("%s: no result", method)
	}
}
