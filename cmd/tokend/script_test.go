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

// TestScripts runs the sessions in testdata: what a person sees at a terminal. Beside
// testscript's own commands they have
//
//	wechat              a WeChat with the sandbox's accounts, and tokend.toml for it
//	calls N             it has been called N times
//	serve               a daemon with tokend.toml, answering when the command returns
//	signal HUP|TERM|KILL
//	logged TEXT         the daemon logs TEXT, or has done
//	ended N             the daemon ends with status N, or has done
//	exits N COMMAND     COMMAND ends with status N
//	free NAME           the variable NAME is an address that is free
//
// and of platforms, suites and their customers
//
//	owners                      as wechat, with the sandbox's owners and [http] besides
//	ticket OWNER FILE           WeChat makes OWNER a ticket
//	grant OWNER CUSTOMER FILE   a customer of long ago, and its grant
//	code OWNER CUSTOMER FILE    a customer authorises, and its browser brings the code
//	unauthorize OWNER CUSTOMER  a customer takes the authorization back
//	customers OWNER N           N customers of long ago
//	hides OWNER CUSTOMER        WeChat's list counts CUSTOMER and does not show it
//	push                        WeChat pushes what there is to tell, and is answered "success"
//
// and of what is sealed
//
//	key FILE            tokend.toml has the key in FILE as its encryption_key; - for none
//	lacks FILE SECRET   FILE does not hold what the file SECRET does
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

// worldKey is under which a script keeps its world.
type worldKey struct{}

const longEnough = 20 * time.Second

// only makes a command of a method that takes n arguments.
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
	timer := time.AfterFunc(longEnough, func() { _ = w.daemon.Process.Kill() })
	defer timer.Stop()
	_ = w.daemon.Wait() // its status is what counts
	if got := w.daemon.ProcessState.ExitCode(); got != want {
		ts.Fatalf("the daemon's exit status: got %d, want %d\n%s", got, want, ts.ReadFile("log"))
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("wants: exits N COMMAND [ARGS], and no !")
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
