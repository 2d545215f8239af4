package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"tokend/cmd/tokend/sandbox"
)

// owners adds the commands for platforms, suites and their customers; see TestScripts.
func (w *world) owners(ts *testscript.TestScript, _ []string) {
	addr, err := freeAddress()
	ts.Check(err)
	w.startWeChat(ts, nil)
	w.conf.HTTP, w.conf.Owners = addr, sandbox.Owners()
	for _, o := range w.conf.Owners {
		o.AddTo(w.wechat)
		w.wechat.SetCallback(o.ID, w.conf.Callback(o))
	}
	w.configure(ts)
}

// freeAddress returns a loopback address that was free just now.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func (w *world) free(ts *testscript.TestScript, args []string) {
	addr, err := freeAddress()
	ts.Check(err)
	ts.Setenv(args[0], addr)
}

func (w *world) write(ts *testscript.TestScript, file, text string) {
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text+"\n"), 0o600))
}

func (w *world) ticket(ts *testscript.TestScript, args []string) {
	w.write(ts, args[1], w.wechat.TicketPush(args[0]).Event.Ticket)
}

func (w *world) grant(ts *testscript.TestScript, args []string) {
	w.write(ts, args[2], w.wechat.AddCustomer(args[0], args[1]))
}

func (w *world) code(ts *testscript.TestScript, args []string) {
	w.write(ts, args[2], w.wechat.Authorize(args[0], args[1]))
}

func (w *world) unauthorize(_ *testscript.TestScript, args []string) {
	w.wechat.Unauthorize(args[0], args[1])
}

func (w *world) customers(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		w.wechat.AddCustomer(args[0], fmt.Sprintf("wx%04d", i))
	}
}

func (w *world) hides(_ *testscript.TestScript, args []string) {
	w.wechat.Hide(args[0], args[1])
}

// push fails unless every push is answered correctly.
func (w *world) push(ts *testscript.TestScript, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	before := len(w.wechat.Deliveries())
	w.wechat.Flush(ctx)
	sent := w.wechat.Deliveries()[before:]
	if len(sent) == 0 {
		ts.Fatalf("no push is pending")
	}
	for _, d := range sent {
		if d.Err != nil {
			ts.Fatalf("push of %s: HTTP %d, %v", d.Kind, d.Status, d.Err)
		}
	}
}

func (w *world) configure(ts *testscript.TestScript) {
	ts.Check(os.WriteFile(filepath.Join(w.dir, "tokend.toml"), []byte(w.conf.TOML()), 0o600))
}
