package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// TestScripts runs the sessions in testdata, as a user sees them at a terminal. In addition to
// testscript's own commands they have
//
//	wechat              a WeChat with the sandbox's accounts, and tokend.toml for it
//	calls N             WeChat has received N calls
//	serve               starts a daemon with tokend.toml and waits until it responds
//	signal HUP|TERM|KILL
//	logged TEXT         waits until the daemon has logged TEXT
//	ended N             waits until the daemon has ended with status N
//	exits N COMMAND     COMMAND ends with status N
//	free NAME           sets the variable NAME to a free address
//
// and for platforms, suites and their customers
//
//	owners                      as wechat, with the sandbox's owners and [http]
//	ticket OWNER FILE           WeChat creates a ticket for OWNER
//	grant OWNER CUSTOMER FILE   an existing customer and its grant
//	code OWNER CUSTOMER FILE    a customer authorizes; FILE is the code
//	unauthorize OWNER CUSTOMER  a customer revokes the authorization
//	customers OWNER N           N existing customers
//	hides OWNER CUSTOMER        WeChat's list counts CUSTOMER but does not show it
//	push                        WeChat pushes pending events; all are answered "success"
//
// and for encryption
//
//	key FILE            sets encryption_key in tokend.toml to the key in FILE; - for none
//	lacks FILE SECRET   FILE does not contain the content of the file SECRET
//	mode MODE FILE      FILE has MODE, such as 0600
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TOKEND_SOCKET", filepath.Join(env.WorkDir, "tokend.sock"))
			env.Setenv("LANG", "C")
			env.Setenv("GORACE", race)
			env.Values[worldKey{}] = &world{dir: env.WorkDir}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"wechat": only(0, (*world).startWeChat),
			"calls":  only(1, (*world).calls),
			"serve":  only(0, (*world).serve),
			"signal": only(1, (*world).signal),
			"logged": only(1, (*world).logged),
			"ended":  only(1, (*world).ended),
			"exits":  exits,
			"free":   only(1, (*world).free),

			"owners":      only(0, (*world).owners),
			"ticket":      only(2, (*world).ticket),
			"grant":       only(3, (*world).grant),
			"code":        only(3, (*world).code),
			"unauthorize": only(2, (*world).unauthorize),
			"customers":   only(2, (*world).customers),
			"hides":       only(2, (*world).hides),
			"push":        only(0, (*world).push),

			"key":   only(1, (*world).key),
			"mode":  only(2, (*world).mode),
			"lacks": only(2, (*world).lacks),
		},
	})
}

// world is what one script has running.
type world struct {
	dir    string
	wechat *wechattest.WeChat
	conf   sandbox.Configuration
	daemon *exec.Cmd
}

// worldKey is the key of a script's world.
type worldKey struct{}

const longEnough = 20 * time.Second

// waitOrKill waits until cmd has ended, and kills it after longEnough. It reports whether cmd has
// ended by itself. The status is for the caller.
func waitOrKill(cmd *exec.Cmd) bool {
	kill := time.AfterFunc(longEnough, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	return kill.Stop()
}

// only returns a command for a method that takes n arguments.
func only(n int, method func(*world, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != n {
			ts.Fatalf("wants %d arguments and no !", n)
		}
		method(ts.Value(worldKey{}).(*world), ts, args)
	}
}

func (w *world) startWeChat(ts *testscript.TestScript, _ []string) {
	w.wechat = wechattest.New(wechattest.Settings{})
	accounts := sandbox.Accounts()
	for _, a := range accounts {
		a.AddTo(w.wechat)
	}
	server, err := w.wechat.Start("")
	ts.Check(err)
	ts.Defer(func() { _ = server.Close() })
	w.conf = sandbox.Configuration{Dir: w.dir, URL: server.URL, Accounts: accounts}
	w.configure(ts)
}

func (w *world) calls(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := w.wechat.Total(); got != want {
		ts.Fatalf("calls: got %d, want %d", got, want)
	}
}

func (w *world) log() string { return filepath.Join(w.dir, "log") }

func (w *world) serve(ts *testscript.TestScript, _ []string) {
	log, err := os.OpenFile(w.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command("tokend", "serve", "--config", filepath.Join(w.dir, "tokend.toml"))
	cmd.Stderr = log
	ts.Check(cmd.Start())
	w.daemon = cmd
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	c := &clientlib.Client{Socket: ts.Getenv("TOKEND_SOCKET")}
	defer c.Close()
	for {
		err := c.Ping(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, clientlib.ErrNoDaemon) {
			ts.Fatalf("%v\n%s", err, ts.ReadFile("log"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) signal(ts *testscript.TestScript, args []string) {
	sig, ok := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[0])
	}
	ts.Check(w.daemon.Process.Signal(sig))
}

func (w *world) logged(ts *testscript.TestScript, args []string) {
	for began := time.Now(); !strings.Contains(ts.ReadFile("log"), args[0]); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > longEnough {
			ts.Fatalf("not logged: %s\n%s", args[0], ts.ReadFile("log"))
		}
	}
}

// ended takes -1 for an end by a signal, as [os.ProcessState.ExitCode] does.
func (w *world) ended(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	waitOrKill(w.daemon)
	if got := w.daemon.ProcessState.ExitCode(); got != want {
		ts.Fatalf("the daemon's exit status: got %d, want %d\n%s", got, want, ts.ReadFile("log"))
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND [ARGS], without !")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status: got %d, want %d", got, want)
	}
}
